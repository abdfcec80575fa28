"""The service that Rookery replaces, as a data scientist writes it: FastAPI, pandas, get_dummies, joblib."""

import os
from typing import Any

import joblib
import pandas as pd
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

MODELS = {
    name: joblib.load(os.path.join(os.environ["BENCH_MODELS"], f"{name}.pkl"))  # noqa: PTH118 - as it is written there
    for name in ("logistic_regression", "random_forest", "svc")
}
app = FastAPI()


class Request(BaseModel):
    """Records of penguins."""

    records: list[dict[str, Any]]


@app.post("/predict")
def predict(request: Request, model: str = "random_forest") -> dict[str, Any]:
    """Encodes the request by itself, which is the bug: one record has one category, and `drop_first` drops it."""
    bundle = MODELS[model]
    frame = pd.DataFrame(request.records)
    frame["sex"] = frame["sex"].str.upper()
    encoded = pd.get_dummies(frame, columns=["island", "sex"], drop_first=True)
    encoded = encoded.reindex(columns=bundle["feature_columns"], fill_value=0).astype(float)
    predicted = bundle["model"].predict(encoded.to_numpy())
    probabilities = bundle["model"].predict_proba(encoded.to_numpy())
    return {
        "predictions": [bundle["classes"][index] for index in predicted],
        "probabilities": probabilities.tolist(),
        "model": model,
    }


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["BENCH_PORT"]), log_level="warning", access_log=False)
