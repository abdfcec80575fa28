"""Brings what is served in line with what the folder says, one step at a time, without ever serving less.

Managed is not serving: versions load, fail and retire in `_managed`; `serving` is the immutable map that requests see,
replaced in one assignment only after a load succeeded.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Protocol

from common.bundles.manifest import Aliases
from common.bundles.reader import list_versions
from common.errors import BundleError, NotFoundError
from common.logs import get_logger
from common.tasks import end_tasks
from services.inference.serving.harness import Harness
from services.inference.serving.policy import Plan, View, has_changed, plan
from services.inference.serving.serving_map import Asked, ModelView, Served, ServingMap
from services.inference.serving.source import Listing, fingerprint, read_folder
from services.inference.serving.states import State

# A plan loads one version; a model needs at most this many in one go: the live one, fall-backs, a candidate.
_MOST_STEPS = 50
# Refused versions that no alias names are remembered this long, so that `/models` can tell why.
_REFUSED_KEPT = 5


class LoadsVersions(Protocol):
    """What makes a served version of a model's folder."""

    async def load(self, model: str, version: int) -> Served:
        """Raises BundleError with the reason where the version is refused."""
        ...


class Listener(Protocol):
    """Who wants to know of loads: log, metrics, the stream of events."""

    def loaded(self, served: Served) -> None:
        """A version is ready."""
        ...

    def rejected(self, model: str, version: int, reason: str, milliseconds: float) -> None:
        """A version was refused."""
        ...


class Manager:
    """Owns the managed versions and the serving map."""

    def __init__(
        self,
        models_dir: Path,
        keys: Sequence[bytes],
        loader: LoadsVersions,
        listener: Listener,
        *,
        executor: Executor,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        """Takes the folder, what loads and who listens; blocking reads of the folder go to the executor."""
        self.serving = ServingMap()
        self._models_dir = models_dir
        self._keys = tuple(keys)
        self._loader = loader
        self._listener = listener
        self._executor = executor
        self._clock = clock
        self._managed: dict[Asked, Harness] = {}
        self._loads: dict[Asked, asyncio.Task[Served]] = {}
        self._wake = asyncio.Event()
        self._folder_error = ""
        # Nothing was ever published here, and that was said.
        self._waits = False

    @property
    def folder_error(self) -> str:
        """Why the folder itself could not be read at the last look; empty where it could."""
        return self._folder_error

    def managed(self) -> list[Harness]:
        """All managed versions, for `/models`."""
        return [self._managed[key] for key in sorted(self._managed)]

    def wake(self) -> None:
        """Asks for a look at the folder soon. To be called from the loop's thread."""
        self._wake.set()

    async def run(self, poll_s: float, supervise: Callable[[], None]) -> None:
        """Looks at the folder when woken and every `poll_s`; ends when cancelled, and for nothing else."""
        while True:
            try:
                await asyncio.get_running_loop().run_in_executor(self._executor, supervise)
                await self.reconcile_once()
            except Exception:  # noqa: BLE001 - whatever it was, the next look may find it mended
                get_logger(__name__).exception("looking at the model folder failed")
            try:
                async with asyncio.timeout(poll_s):
                    await self._wake.wait()
            except TimeoutError:
                continue
            finally:
                self._wake.clear()

    async def reconcile_once(self) -> None:
        """One look at the folder, and all that follows from it."""
        loop = asyncio.get_running_loop()
        listing = await loop.run_in_executor(self._executor, read_folder, self._models_dir, self._keys)
        self._note_folder(listing)
        for model, reason in listing.errors.items():
            if model:
                self._note_error(model, reason)
        for model, aliases in listing.aliases.items():
            await self._reconcile(model, aliases)

    async def version(self, asked: Asked) -> Served:
        """A version that was asked for by number, loaded if need be.

        Raises NotFoundError where the folder has no such version, BundleError where it is refused.
        """
        harness = self._managed.get(asked)
        if harness is not None and harness.served is not None:
            harness.used = self._clock()
            return harness.served
        if harness is not None and harness.state is State.ERROR and not await self._has_changed(harness):
            raise BundleError(f"{asked.model}@{asked.version} is refused: {harness.reason}")
        await self._must_exist(asked)
        served = await self._load(asked)
        view = self.serving.models.get(asked.model)
        if view is not None and view.aliases is not None:
            self._retire(asked.model, self._plan(view.aliases, await self._views(asked.model)))
        self._publish()
        return served

    async def close(self) -> None:
        """Ends loads that are under way."""
        await end_tasks(list(self._loads.values()))

    async def _reconcile(self, model: str, aliases: Aliases) -> None:
        """Makes one model what its aliases say."""
        view = self.serving.models.get(model)
        if view is not None and view.aliases is not None and aliases.generation < view.aliases.generation:
            self._note_error(
                model, f"the aliases went back from generation {view.aliases.generation} to {aliases.generation}"
            )
            return
        if view is not None and view.aliases is not None and aliases.generation > view.aliases.generation:
            await self._renew(model)
        for _ in range(_MOST_STEPS):
            steps = self._plan(aliases, await self._views(model))
            self._show(model, aliases, steps)
            if steps.load is None:
                break
            try:
                await self._load(Asked(model, steps.load))
            except BundleError:
                continue
        self._retire(model, steps)
        self._publish()

    async def _renew(self, model: str) -> None:
        """Loads again what is ready but has other files now: in a restored folder a number may be another fit."""
        for asked, harness in list(self._managed.items()):
            if asked.model != model or harness.state is not State.READY:
                continue
            loop = asyncio.get_running_loop()
            now = await loop.run_in_executor(self._executor, fingerprint, self._models_dir, *asked)
            if now and has_changed(harness.fingerprint, now):
                with suppress(BundleError):  # told by the load; what serves goes on serving
                    await self._load(asked)

    def _plan(self, aliases: Aliases, views: dict[int, View]) -> Plan:
        current = self.serving.models.get(aliases.model)
        serving = current.live.version if current is not None and current.live is not None else None
        return plan(aliases, views, serving)

    async def _views(self, model: str) -> dict[int, View]:
        """The managed versions of a model as the policy sees them."""
        return {
            asked.version: View(
                harness.state,
                changed=harness.state is State.ERROR and await self._has_changed(harness),
                used=harness.used,
            )
            for asked, harness in list(self._managed.items())
            if asked.model == model
        }

    async def _has_changed(self, harness: Harness) -> bool:
        loop = asyncio.get_running_loop()
        now = await loop.run_in_executor(self._executor, fingerprint, self._models_dir, harness.model, harness.version)
        return has_changed(harness.fingerprint, now)

    async def _must_exist(self, asked: Asked) -> None:
        """Raises NotFoundError that lists the versions there are."""
        loop = asyncio.get_running_loop()
        try:
            versions = await loop.run_in_executor(self._executor, list_versions, self._models_dir, asked.model)
        except BundleError:
            versions = ()
        if asked.version not in versions:
            known = ", ".join(map(str, versions)) or "none"
            raise NotFoundError(f"there is no version {asked.version} of {asked.model!r}; on disk are {known}")

    async def _load(self, asked: Asked) -> Served:
        """Loads a version; whoever asks for one that is being loaded waits for the same load."""
        task = self._loads.get(asked)
        if task is None:
            task = self._loads[asked] = asyncio.create_task(self._load_now(asked))
            task.add_done_callback(lambda _: self._loads.pop(asked, None))
        return await asyncio.shield(task)

    async def _load_now(self, asked: Asked) -> Served:
        loop = asyncio.get_running_loop()
        seen = await loop.run_in_executor(self._executor, fingerprint, self._models_dir, *asked)
        before = self._managed.get(asked)
        # One that is ready serves on until the new load of its number is.
        harness = Harness(*asked) if before is None or before.state is State.READY else before
        if before is None:
            self._managed[asked] = harness
        harness.begin(seen)
        started = self._clock()
        try:
            served = await self._loader.load(*asked)
        except Exception as error:
            # What no check foresaw is a reason too: the other versions and models are looked at all the same.
            reason = error.message if isinstance(error, BundleError) else f"{type(error).__name__}: {error}"
            harness.refuse(reason)
            self._listener.rejected(*asked, reason, (self._clock() - started) * 1000)
            raise BundleError(reason) from error
        except BaseException:
            harness.refuse("the load was broken off")
            raise
        harness.ready(served)
        harness.used = self._clock()
        self._managed[asked] = harness
        self._listener.loaded(served)
        return served

    def _show(self, model: str, aliases: Aliases, steps: Plan) -> None:
        """Lets requests see what a plan says is served: the one assignment."""
        view = ModelView(
            aliases=aliases,
            live=self._served(model, steps.serve),
            candidate=self._served(model, steps.candidate),
            error=self._reason(model, aliases.live),
        )
        self._publish({**self.serving.models, model: view})

    def _publish(self, models: dict[str, ModelView] | None = None) -> None:
        """Replaces the serving map."""
        views = dict(self.serving.models) if models is None else models
        ready = {asked: harness.served for asked, harness in self._managed.items() if harness.served is not None}
        self.serving = ServingMap(
            models=views,
            ready=ready,
            default=_default(views),
            shadowed=frozenset(name for name, view in views.items() if view.shadow_share > 0),
        )

    def _served(self, model: str, version: int | None) -> Served | None:
        harness = None if version is None else self._managed.get(Asked(model, version))
        return None if harness is None else harness.served

    def _reason(self, model: str, version: int) -> str:
        """Why the version that should be live is not."""
        harness = self._managed.get(Asked(model, version))
        refused = harness is not None and harness.state is State.ERROR
        return f"version {version} is refused: {harness.reason}" if harness is not None and refused else ""

    def _retire(self, model: str, steps: Plan) -> None:
        """Lets go of versions nobody needs, and of refused ones of long ago."""
        for version in steps.retire:
            self._managed.pop(Asked(model, version)).retire()
        view = self.serving.models.get(model)
        named = set() if view is None or view.aliases is None else {view.aliases.live, view.aliases.candidate}
        refused = sorted(
            asked
            for asked, harness in self._managed.items()
            if asked.model == model and harness.state is State.ERROR and asked.version not in named
        )
        for asked in refused[:-_REFUSED_KEPT]:
            self._managed.pop(asked).retire()

    def _note_folder(self, listing: Listing) -> None:
        if listing.is_empty and not self.serving.models:
            if not self._waits:
                get_logger(__name__).info("no model yet, waiting for the first training")
            self._waits, self._folder_error = True, ""
            return
        self._waits = False
        reason = listing.errors.get("", "")
        if reason and reason != self._folder_error:
            get_logger(__name__).error("the model folder is unusable, what serves goes on serving", reason=reason)
        self._folder_error = reason

    def _note_error(self, model: str, reason: str) -> None:
        """Keeps what is served of a model whose aliases cannot be obeyed, and says so once."""
        view = self.serving.models.get(model, ModelView(aliases=None))
        if view.error == reason:
            return
        get_logger(__name__).error("the aliases cannot be obeyed", model=model, reason=reason)
        self._publish({**self.serving.models, model: ModelView(view.aliases, view.live, view.candidate, reason)})


def _default(models: dict[str, ModelView]) -> str | None:
    """The model that answers where none is named: the one its manifest says it is, else the first that is live."""
    live = {name: view.live for name, view in sorted(models.items()) if view.live is not None}
    marked = [name for name, served in live.items() if served.manifest.default]
    return next(iter(marked), None) or next(iter(live), None)
