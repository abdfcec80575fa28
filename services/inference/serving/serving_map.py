"""What answers requests: an immutable map, replaced in one assignment, and the versions in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from common.bundles.layout import version_number
from common.bundles.manifest import Aliases, Manifest
from common.errors import NotFoundError
from common.features import Encoder
from services.inference.batching import Batcher
from services.inference.envelope import Envelope
from services.inference.rows import RowReader


@dataclass(frozen=True, eq=False)
class Served:
    """A version that is loaded, verified and warm."""

    model: str
    version: int
    manifest: Manifest
    encoder: Encoder
    reader: RowReader
    batcher: Batcher
    envelope: Envelope
    loaded_at: datetime
    load_ms: float

    @property
    def name(self) -> str:
        """The name that asks for exactly this version."""
        return f"{self.model}@{self.version}"


@dataclass(frozen=True)
class ModelView:
    """One model: what its aliases say, and what of it is served."""

    aliases: Aliases | None
    live: Served | None = None
    candidate: Served | None = None
    error: str = ""

    @property
    def shadow_share(self) -> float:
        """The share of live requests that the candidate answers unseen."""
        return self.aliases.shadow_share if self.aliases is not None and self.candidate is not None else 0.0


class Asked(NamedTuple):
    """A version that a name stands for."""

    model: str
    version: int


@dataclass(frozen=True)
class ServingMap:
    """All that can be asked for without waiting, and what the names mean."""

    models: Mapping[str, ModelView] = field(default_factory=dict)
    ready: Mapping[Asked, Served] = field(default_factory=dict)
    default: str | None = None
    # The models whose candidate is run on a share of requests: looked at with every request.
    shadowed: frozenset[str] = frozenset()

    def find(self, name: str) -> Served | Asked | None:
        """What a name stands for: a served version, one that is to be loaded first, or None: none is live yet.

        Raises NotFoundError for a model that is not known, or an alias that stands for nothing.
        """
        view = self.models.get(name)
        if view is not None and view.live is not None:
            return view.live
        model, selector = split_name(name)
        view = self.models.get(model)
        if view is None:
            known = ", ".join(sorted(self.models)) or "none yet"
            raise NotFoundError(f"there is no model {model!r}; known are {known}")
        if "@" not in name:
            return view.live
        asked = Asked(model, _version(name, selector, view))
        return self.ready.get(asked, asked)


def split_name(name: str) -> tuple[str, str]:
    """A name as people write it, `random_forest`, `random_forest.pkl`, `random_forest@3`, in its two parts."""
    model, _, selector = name.partition("@")
    return model.removesuffix(".pkl"), selector.removesuffix(".pkl")


def _version(name: str, selector: str, view: ModelView) -> int:
    """The version that the part after `@` stands for."""
    number = version_number(selector)
    if number is not None:
        return number
    if selector.isascii() and selector.isdecimal():
        raise NotFoundError(f"{name[:100]!r}: there is no such version; numbers have at most 9 digits and no leading 0")
    if selector not in {"live", "previous", "candidate"}:
        raise NotFoundError(f"{name!r}: after @ comes a version's number, live, previous or candidate")
    found: int | None = getattr(view.aliases, selector, None)
    if found is None:
        raise NotFoundError(f"{name!r}: there is no {selector} version at the moment")
    return found
