"""What is worth another attempt."""

import pytest
from asyncpg.exceptions import InternalClientError

from common.errors import DataError, LeaseLostError, RetryableError, RookeryError, SpecError, is_retryable


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (RetryableError(), True),
        (DataError(), False),
        (ValueError(), False),
        (KeyError("x"), False),
        (OSError(28, "No space left on device"), True),
        (MemoryError(), True),
        (TimeoutError(), True),
    ],
)
def test_the_class_decides(error: Exception, answer: bool) -> None:
    """Ours say so by their class; of others, what the surroundings cause may pass."""
    assert is_retryable(error) is answer


def test_the_cause_counts() -> None:
    """A library's error around a lost connection is retryable."""
    outer = RuntimeError("wrapped")
    outer.__cause__ = ConnectionResetError()
    assert is_retryable(outer)


def test_the_docstring_is_the_default_message() -> None:
    """An error without words of its own says what its class says."""
    assert str(LeaseLostError()).startswith("The event went to another attempt")
    assert RookeryError("said").message == "said"


def test_a_spec_error_names_file_and_key() -> None:
    """Where it is known, file and key come first."""
    assert str(SpecError("is missing", path="a.toml", key="target")) == "a.toml: target: is missing"


def test_a_connection_that_was_left_in_the_middle_of_something_is_tried_again() -> None:
    """What asyncpg says of a connection whose server was killed in a rollback is no defect of the handler."""
    assert is_retryable(InternalClientError("cannot switch to state 12; another operation (2) is in progress"))
