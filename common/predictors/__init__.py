"""Models as plain arrays, evaluated by numpy alone: what inference serves from, without unpickling anything."""

from common.predictors.loading import Predictor, load_predictor

__all__ = ["Predictor", "load_predictor"]
