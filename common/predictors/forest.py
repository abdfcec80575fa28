"""Trees and sums of trees, without a Python step per node: each record's leaf in every tree is found by bit masks.

Arrays, nodes of all trees one after the other, each tree in preorder (a node's left child is the next node):
`feature (n_nodes,)` the column compared, -1 for a leaf; `threshold (n_nodes,)` go left where the column, as float32, is
not above it; `right (n_nodes,)` the right child; `roots (n_trees,)`; `value (n_nodes, n_outputs)` what a leaf adds;
`start (n_outputs,)` what the sum begins with; `divisor` what it ends with (the number of trees for an average); `link`
an index into LINKS.

How a leaf is found (QuickScorer, https://dl.acm.org/doi/10.1145/2766462.2767733, turned into tables): number a tree's
leaves from left to right. A comparison that fails rules out the leaves left of it; the exit leaf is the first that
none rules out. For each column, a record's rank among the sorted thresholds decides which comparisons fail, so the
masks of all trees for each rank are computed once, when the model loads. A prediction is then a binary search, one
`take` per group of columns, a bitwise AND, and the position of the lowest bit. Trees of more than 64 leaves, and
forests whose tables would be too large, are walked level by level instead.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.predictors import links
from common.predictors.arrays import Arrays, size_of
from common.predictors.links import Floats

LINKS = ("identity", "mean", "softmax", "logistic")
_MOST_LEAVES = 64
_TABLE_LIMIT_BYTES = 32 * 2**20
# Columns share a table while it has at most so many rows: the indicators of a category cost one look-up together.
_GROUP_ROWS = 64
# Of an int64, without its sign.
_VOTE_BITS = 62
# Records looked at together: the masks of so many fit a processor's second cache.
_CHUNK = 128


class ForestPredictor:
    """Answers as decision trees, random forests, extra trees and gradient boosting do."""

    kind = "forest"

    def __init__(self, arrays: Arrays) -> None:
        """Takes the arrays of the file."""
        self._link = LINKS[int(arrays["link"])]
        self._start = np.asarray(arrays["start"], dtype=np.float64)
        self._divisor = float(arrays["divisor"])
        self.columns = int(arrays["columns"])
        nodes = Nodes(arrays)
        outputs = nodes.value.shape[1]
        if (
            self._start.shape != (outputs,)
            or self._divisor <= 0.0
            or (self._link in {"identity", "logistic"} and outputs != 1)
        ):
            raise ValueError("the outputs do not fit each other")
        tables = MaskTables(nodes, self.columns) if MaskTables.fits(nodes, self.columns) else None
        self._leaves: MaskTables | Walk = tables or Walk(nodes)
        self.nbytes = self._leaves.nbytes

    def predict_proba(self, matrix: Floats) -> Floats:
        """`(n, k)` probabilities."""
        scores = self._scores(matrix)
        if self._link == "softmax":
            return links.softmax(scores)
        if self._link == "logistic":
            return links.both(links.logistic(scores[:, 0]))
        return scores

    def predict(self, matrix: Floats) -> Floats:
        """`(n,)` numbers for regression, else indices of classes."""
        if self._link == "identity":
            return self._scores(matrix)[:, 0]
        return links.labels(self.predict_proba(matrix))

    def _scores(self, matrix: Floats) -> Floats:
        """The trees' sum, added tree after tree as scikit-learn does.

        Another order ends in other last digits, and where two classes tie, those choose the label.
        """
        if len(matrix) <= _CHUNK:
            return self._sum(matrix)
        return np.concatenate([self._sum(matrix[at : at + _CHUNK]) for at in range(0, len(matrix), _CHUNK)])

    def _sum(self, matrix: Floats) -> Floats:
        leaves = self._leaves
        small = matrix.astype(np.float32)
        total: Floats
        if isinstance(leaves, MaskTables) and leaves.votes is not None:
            total = leaves.votes.count(leaves.find(small))
        else:
            total = np.add.reduce(leaves.values(small), axis=0)
        if self._divisor != 1.0:
            total /= self._divisor
        total += self._start
        return total


class Nodes:
    """The arrays of the file, checked: a damaged one must not send a look-up outside of its table."""

    def __init__(self, arrays: Arrays) -> None:
        """Raises ValueError where the arrays are no trees in preorder."""
        self.feature = np.asarray(arrays["feature"], dtype=np.int64)
        self.right = np.asarray(arrays["right"], dtype=np.int64)
        self.roots = np.asarray(arrays["roots"], dtype=np.int64)
        self.value = np.asarray(arrays["value"], dtype=np.float64)
        self.threshold = _as_float32(np.asarray(arrays["threshold"], dtype=np.float64))
        count = len(self.feature)
        self.inner = np.flatnonzero(self.feature >= 0)
        here = self.right[self.inner]
        ends = np.append(self.roots[1:], count)
        self.tree = np.repeat(np.arange(len(self.roots)), ends - self.roots)
        if (
            len(self.value) != count
            or len(self.right) != count
            or len(self.threshold) != count
            or self.roots[0] != 0
            or (here <= self.inner + 1).any()
            or (here >= ends[self.tree[self.inner]]).any()
            or self.feature.max() >= int(arrays["columns"])
        ):
            raise ValueError("the nodes are no trees")
        # How many leaves of the whole forest come before each node.
        self.leaves_before = np.concatenate([[0], np.cumsum(self.feature < 0)])
        self.leaves = np.diff(self.leaves_before[np.append(self.roots, count)])


class MaskTables:
    """Finds leaves by masks, for trees of at most 64 leaves."""

    def __init__(self, nodes: Nodes, columns: int) -> None:
        """Lays out the tables: `(n_rows, n_trees)` masks, rows of one group of columns together."""
        bits = next(size for size in (8, 16, 32, 64) if size >= nodes.leaves.max())
        self._dtype = np.dtype(f"uint{bits}")
        thresholds = [np.unique(nodes.threshold[nodes.feature == column]) for column in range(columns)]
        groups = group_columns([len(found) + 1 for found in thresholds])
        self._used = np.array([column for group in groups for column in group], dtype=np.intp)
        self._edges = [thresholds[column] for column in self._used]
        self._to_row = np.zeros((len(self._used), len(groups)), dtype=np.int64)
        parts, self._base = [], np.zeros(len(groups), dtype=np.int64)
        position = rows = 0
        for index, group in enumerate(groups):
            table = np.full((1, len(nodes.roots)), np.iinfo(self._dtype).max, dtype=self._dtype)
            stride = 1
            for column in group:
                own = self._masks(nodes, column, thresholds[column])
                # Rows of the group's table: the new column's rank counts in strides of what is there already.
                table = (own[:, None, :] & table[None, :, :]).reshape(-1, len(nodes.roots))
                self._to_row[position, index] = stride
                stride *= len(own)
                position += 1
            parts.append(table)
            self._base[index] = rows
            rows += len(table)
        self._table = np.concatenate(parts)
        self._values, self._first = _leaf_values(nodes)
        self.votes = Votes(self._values) if Votes.fit(self._values, len(nodes.roots)) else None
        self._one = self._dtype.type(1)
        self.nbytes = size_of(self._table, self._values, self._first)

    @staticmethod
    def fits(nodes: Nodes, columns: int) -> bool:
        """Tells whether the tables can be made and are worth their memory."""
        rows = sum(len(np.unique(nodes.threshold[nodes.feature == column])) + 1 for column in range(columns))
        most = int(nodes.leaves.max())
        return (
            most <= _MOST_LEAVES and len(nodes.inner) > 0 and rows * len(nodes.roots) * most // 8 <= _TABLE_LIMIT_BYTES
        )

    def values(self, matrix: NDArray[np.float32]) -> Floats:
        """`(n_trees, n, n_outputs)`: what each tree adds for each record."""
        found: Floats = self._values.take(self.find(matrix).T, axis=0)
        return found

    def find(self, matrix: NDArray[np.float32]) -> NDArray[np.int64]:
        """`(n, n_trees)`: the leaf of each record in each tree, counted over the whole forest."""
        ranks = np.empty((len(self._edges), len(matrix)), dtype=np.int64)
        for position, edges in enumerate(self._edges):
            ranks[position] = edges.searchsorted(matrix[:, self._used[position]])
        rows = self._to_row.T @ ranks
        rows += self._base[:, None]
        masks = np.bitwise_and.reduce(self._table.take(rows, axis=0), axis=0)
        lowest = masks & (~masks + self._one)
        leaves: NDArray[np.int64] = np.bitwise_count(lowest - self._one) + self._first
        return leaves

    def _masks(self, nodes: Nodes, column: int, edges: NDArray[np.float32]) -> NDArray[Any]:
        """`(len(edges) + 1, n_trees)`: the leaves that each rank of a column leaves possible."""
        full = np.iinfo(self._dtype).max
        table = np.full((len(edges) + 1, len(nodes.roots)), full, dtype=self._dtype)
        at = nodes.inner[nodes.feature[nodes.inner] == column]
        before = nodes.leaves_before[nodes.roots[nodes.tree[at]]]
        low = (nodes.leaves_before[at] - before).astype(np.uint64)
        width = (nodes.leaves_before[nodes.right[at]] - nodes.leaves_before[at]).astype(np.uint64)
        # A left subtree never has all 64 leaves, so the shift stays below 64.
        ruled_out = ((np.uint64(1) << width) - np.uint64(1)) << low
        keep = (~ruled_out).astype(self._dtype)
        rank = edges.searchsorted(nodes.threshold[at]) + 1
        np.bitwise_and.at(table, (rank, nodes.tree[at]), keep)
        return np.bitwise_and.accumulate(table, axis=0)


class Walk:
    """Finds leaves by walking all trees for all records at once, one level a step."""

    def __init__(self, nodes: Nodes) -> None:
        """Lays out children so that the comparison's outcome is an index."""
        count = len(nodes.feature)
        self._feature = nodes.feature.astype(np.int32)
        self._threshold = nodes.threshold
        self._children = np.empty((count, 2), dtype=np.int32)
        self._children[:, 0] = np.arange(1, count + 1)
        self._children[:, 1] = nodes.right
        self._flat = self._children.reshape(-1)
        self._roots = nodes.roots.astype(np.int32)
        self._value = nodes.value
        self.nbytes = size_of(self._feature, self._threshold, self._children, self._roots, self._value)

    def values(self, matrix: NDArray[np.float32]) -> Floats:
        """`(n_trees, n, n_outputs)`: what each tree adds for each record."""
        records, columns = matrix.shape
        flat = np.ascontiguousarray(matrix).reshape(-1)
        ends = np.repeat(self._roots, records)
        record = np.tile(np.arange(records, dtype=np.int32) * np.int32(columns), len(self._roots))
        under_way = np.flatnonzero(self._feature.take(ends) >= 0)
        while len(under_way):
            node = ends.take(under_way)
            value = flat.take(record.take(under_way) + self._feature.take(node))
            node = self._flat.take(2 * node + (value > self._threshold.take(node)))
            ends[under_way] = node
            under_way = under_way[self._feature.take(node) >= 0]
        found: Floats = self._value.take(ends.reshape(len(self._roots), records), axis=0)
        return found


class Votes:
    """Sums of leaves that each say 0 or 1 per output, as those of trees grown to the end do.

    The outputs of a leaf are packed into one integer, so a sum over trees is one sum. Sums of 0 and 1 are exact in any
    order: this gives the same digits as adding tree after tree.
    """

    def __init__(self, values: Floats) -> None:
        """Takes `(n_leaves, n_outputs)` values for which `fit` holds."""
        bits = _VOTE_BITS // values.shape[1]
        self._shifts = np.arange(values.shape[1], dtype=np.int64) * bits
        self._mask = np.int64((1 << bits) - 1)
        self._packed = (values.astype(np.int64) << self._shifts).sum(axis=1)

    @staticmethod
    def fit(values: Floats, trees: int) -> bool:
        """Tells whether the values are votes, and so many trees' votes fit into an integer."""
        outputs = values.shape[1]
        return (
            outputs <= _VOTE_BITS and trees < 1 << (_VOTE_BITS // outputs) and bool(np.isin(values, (0.0, 1.0)).all())
        )

    def count(self, leaves: NDArray[np.int64]) -> Floats:
        """`(n, n_outputs)`: the votes of `(n, n_trees)` leaves."""
        sums = self._packed.take(leaves).sum(axis=1)
        counts: Floats = ((sums[:, None] >> self._shifts) & self._mask).astype(np.float64)
        return counts


def group_columns(rows: list[int]) -> list[list[int]]:
    """Columns whose tables are laid together, given each one's rows: as many as keep a group's rows in bounds.

    Columns with one row are compared by no tree and are in no group.
    """
    groups: list[list[int]] = []
    size = 1
    for column in sorted((column for column, count in enumerate(rows) if count > 1), key=lambda column: rows[column]):
        if not groups or size * rows[column] > _GROUP_ROWS:
            groups.append([])
            size = 1
        groups[-1].append(column)
        size *= rows[column]
    return groups


def _as_float32(thresholds: Floats) -> NDArray[np.float32]:
    """The largest float32 not above each threshold: any float32 is above both or above none of the two."""
    rounded = thresholds.astype(np.float32)
    above = rounded > thresholds
    rounded[above] = np.nextafter(rounded[above], np.float32(-np.inf))
    return rounded


def _leaf_values(nodes: Nodes) -> tuple[Floats, NDArray[np.int64]]:
    """What each leaf of the forest adds, and the number of each tree's first leaf."""
    return np.ascontiguousarray(nodes.value[nodes.feature < 0]), nodes.leaves_before[nodes.roots]
