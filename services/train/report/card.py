"""The model card: what a version is, how good it is, and where it comes from, in Markdown."""

from services.train.report.evidence import Evidence


def model_card(evidence: Evidence, *, pictures: list[str], decision: str, live: bool) -> str:
    """The card as Markdown."""
    return ""
