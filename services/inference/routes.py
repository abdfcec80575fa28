"""What this service answers: one table."""

from services.inference import catalogue, pages, predictions
from services.inference.service import Service
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
    Route("GET", "/docs", pages.docs, is_open=True),
    Route("GET", "/redoc", pages.redoc, is_open=True),
    Route("GET", "/openapi.json", pages.document, is_open=True),
    Route("GET", "/static/{name}", pages.static, is_open=True),
)
