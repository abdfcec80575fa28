"""Whether the parameters of the families exist: a look that imports scikit-learn, for `datasets check`."""

from collections.abc import Iterator
from difflib import get_close_matches
from importlib import import_module

from common.datasets.checking import Problem
from common.datasets.spec import DatasetSpec


def parameter_problems(spec: DatasetSpec) -> Iterator[Problem]:
    """Every parameter that its estimator does not have."""
    for name, family in spec.families.items():
        module, _, class_name = family.estimator.rpartition(".")
        known = sorted(getattr(import_module(module), class_name)().get_params())
        for section, parameters in (("params", family.params), ("grid", family.grid)):
            for parameter in parameters:
                if parameter not in known:
                    close = get_close_matches(parameter, known, n=1)
                    hint = f"; did you mean {close[0]!r}?" if close else ""
                    yield Problem(
                        f"families.{name}.{section}.{parameter}",
                        f"{family.estimator} has no such parameter{hint}; it has {', '.join(known)}",
                    )
