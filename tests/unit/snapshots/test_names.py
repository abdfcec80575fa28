"""Names that PostgreSQL takes, whatever is in them."""

from common.snapshots.names import column_name, literal, qualified, quote


def test_quotes_within_are_doubled() -> None:
    """A quote in a name or a text ends neither."""
    assert quote('a"b') == '"a""b"'
    assert literal("it's") == "'it''s'"
    assert qualified("houses", 3) == 'snapshots."houses_3"'


def test_long_names_stay_apart() -> None:
    """What PostgreSQL would cut off keeps its beginning and a digest of the whole, within 63 bytes."""
    first, second = column_name("x" * 80 + "1"), column_name("x" * 80 + "2")
    assert first != second
    assert len(first) == 63
    assert len(column_name("ä" * 60).encode()) <= 63
    assert column_name("short") == "short"
