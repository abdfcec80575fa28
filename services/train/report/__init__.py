"""What a version's report shows: pictures and a model card, drawn beside the version after it was published."""

from services.train.report.rendering import render_report

__all__ = ["render_report"]
