"""What this service answers: one table."""

from services.inference import catalogue, pages, predictions
from services.inference.service import Service
from services.inference.v2 import handlers as v2
from services.inference.web.routing import Route

ROUTES: tuple[Route[Service], ...] = (
    Route("POST", "/predict", predictions.predict),
    Route("POST", "/predict/compare", predictions.compare),
    Route("GET", "/models", catalogue.models),
    Route("GET", "/models/{name}", catalogue.model),
    Route("GET", "/models/{name}/versions/{version}", catalogue.version),
    Route("GET", "/health", catalogue.health, is_open=True),
    Route("GET", "/ready", catalogue.ready, is_open=True),
    Route("GET", "/metrics", catalogue.metrics),
    Route("GET", "/v2", v2.server),
    Route("GET", "/v2/health/live", v2.live, is_open=True),
    Route("GET", "/v2/health/ready", v2.ready, is_open=True),
    Route("POST", "/v2/repository/index", v2.index),
    Route("GET", "/v2/models/{model}", v2.metadata),
    Route("GET", "/v2/models/{model}/ready", v2.model_ready),
    Route("POST", "/v2/models/{model}/infer", v2.infer),
    Route("GET", "/v2/models/{model}/versions/{version}", v2.metadata),
    Route("GET", "/v2/models/{model}/versions/{version}/ready", v2.model_ready),
    Route("POST", "/v2/models/{model}/versions/{version}/infer", v2.infer),
    Route("GET", "/docs", pages.docs, is_open=True),
    Route("GET", "/redoc", pages.redoc, is_open=True),
    Route("GET", "/openapi.json", pages.document, is_open=True),
    Route("GET", "/static/{name}", pages.static, is_open=True),
)
