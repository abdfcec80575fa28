"""Data sets are files: a spec says where the rows come from, what they mean, and what is trained on them."""

from common.datasets.files import fingerprint, source_files
from common.datasets.parsing import find_spec, load_spec, load_specs, parse_spec
from common.datasets.spec import DatasetSpec, FamilySpec, GateSpec, model_name

__all__ = [
    "DatasetSpec",
    "FamilySpec",
    "GateSpec",
    "find_spec",
    "fingerprint",
    "load_spec",
    "load_specs",
    "model_name",
    "parse_spec",
    "source_files",
]
