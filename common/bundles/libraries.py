"""Which versions of the libraries that a model depends on are installed, told without importing them."""

import platform
from importlib.metadata import PackageNotFoundError, version

NAMES = ("numpy", "scikit-learn", "joblib")


def installed_libraries() -> dict[str, str]:
    """The versions of Python and of the libraries that are installed."""
    found = {"python": platform.python_version()}
    for name in NAMES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
