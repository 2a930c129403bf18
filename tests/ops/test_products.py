"""Products of arrays in all ranks; broadcasting of batch axes; every kind of einsum."""

from harness import Case, floats, integers, parity_test
from keras import ops

MATMUL = {
    "matrices": ((3, 4), (4, 5)),
    "batch": ((2, 3, 4), (2, 4, 5)),
    "two batch axes": ((2, 3, 4, 5), (2, 3, 5, 6)),
    "five axes": ((2, 1, 3, 4, 5), (2, 1, 3, 5, 2)),
    "batch and matrix": ((2, 3, 4), (4, 5)),
    "matrix and batch": ((3, 4), (2, 4, 5)),
    "batch broadcast": ((2, 1, 3, 4), (1, 5, 4, 2)),
    "batch of one": ((1, 3, 4), (6, 4, 2)),
    "right batch of one": ((6, 3, 4), (1, 4, 2)),
    "vectors": ((4,), (4,)),
    "vector and matrix": ((4,), (4, 5)),
    "matrix and vector": ((3, 4), (4,)),
    "batch and vector": ((2, 3, 4), (4,)),
    "vector and batch": ((4,), (2, 4, 5)),
    "one row": ((1, 4), (4, 5)),
    "one column": ((3, 4), (4, 1)),
    "inner 1": ((3, 1), (1, 5)),
}
CASES = [
    Case(f"matmul {name}", ops.matmul, (floats(*a), floats(*b, low=-1)), dynamic=False)
    for name, (a, b) in MATMUL.items()
]
CASES += [
    Case("matmul weights", lambda x: ops.matmul(x, floats(4, 5)), (floats(3, 4),)),
    Case("matmul weights of 3 axes", lambda x: ops.matmul(x, floats(4, 5)), (floats(2, 3, 4),)),
    Case(
        "matmul large",
        lambda x: ops.matmul(x, floats(64, 33, low=-0.1, high=0.1)),
        (floats(70, 64),),
    ),
    Case(
        "matmul attention",
        lambda x: ops.matmul(x, ops.transpose(x, (0, 1, 3, 2))),
        (floats(2, 3, 5, 4),),
    ),
]
CASES += [
    Case(
        f"matmul {dtype}",
        ops.matmul,
        (floats(2, 3, 4, dtype=dtype), floats(2, 4, 5, dtype=dtype)),
        rtol=tol,
        atol=tol,
    )
    for dtype, tol in (("float64", 1e-12), ("float16", 5e-3))
]
CASES += [
    Case(
        f"matmul {dtype}",
        ops.matmul,
        (integers(2, 3, 4, dtype=dtype), integers(2, 4, 5, dtype=dtype)),
    )
    for dtype in ("int32", "int64", "int8")
]
DOT = {
    "vectors": ((4,), (4,)),
    "matrices": ((3, 4), (4, 5)),
    "three and one": ((2, 3, 4), (4,)),
    "three and two": ((2, 3, 4), (4, 5)),
    "two and three": ((3, 4), (2, 4, 5)),
    "three and three": ((2, 3, 4), (5, 4, 2)),
    "scalar": ((), (3, 4)),
}
CASES += [
    Case(f"dot {name}", ops.dot, (floats(*a), floats(*b, low=-1)), dynamic=False)
    for name, (a, b) in DOT.items()
]
TENSORDOT = {
    "1": ((2, 3, 4), (4, 5), 1),
    "2": ((2, 3, 4), (3, 4, 5), 2),
    "0": ((2, 3), (4,), 0),
    "lists": ((2, 3, 4), (4, 3, 5), [[1, 2], [1, 0]]),
    "negative": ((2, 3, 4), (5, 4), [[-1], [-1]]),
}
CASES += [
    Case(
        f"tensordot {name}",
        lambda x, y, axes=axes: ops.tensordot(x, y, axes=axes),
        (floats(*a), floats(*b)),
        dynamic=False,
    )
    for name, (a, b, axes) in TENSORDOT.items()
]
CASES += [
    Case("outer", ops.outer, (floats(3), floats(4)), dynamic=False),
    Case("outer of matrices", ops.outer, (floats(3, 2), floats(4, 2)), dynamic=False),
    Case("inner", ops.inner, (floats(3, 4), floats(5, 4)), dynamic=False, functional=True),
    Case("inner vectors", ops.inner, (floats(4), floats(4)), dynamic=False, functional=True),
    Case("vdot", ops.vdot, (floats(3, 4), floats(3, 4, low=-1)), dynamic=False),
]
EINSUM = {
    "ij,jk->ik": ((3, 4), (4, 5)),
    "ij,jk": ((3, 4), (4, 5)),
    "ij,kj->ki": ((3, 4), (5, 4)),
    "bij,bjk->bik": ((2, 3, 4), (2, 4, 5)),
    "bqhd,bkhd->bhqk": ((2, 3, 4, 5), (2, 6, 4, 5)),
    "bhqk,bkhd->bqhd": ((2, 4, 3, 6), (2, 6, 4, 5)),
    "abc,cd->abd": ((2, 3, 4), (4, 5)),
    "abc,cde->abde": ((2, 3, 4), (4, 5, 6)),
    "abcd,cde->abe": ((2, 3, 4, 5), (4, 5, 6)),
    "...x,xy->...y": ((2, 3, 4), (4, 5)),
    "...ij,...jk->...ik": ((2, 1, 3, 4), (5, 4, 2)),
    "ij,j->i": ((3, 4), (4,)),
    "i,j->ij": ((3,), (4,)),
    "i,i->": ((4,), (4,)),
    "i,i->i": ((4,), (4,)),
    "ij->ji": ((3, 4),),
    "ij->i": ((3, 4),),
    "ij->": ((3, 4),),
    "ij,jk,kl->il": ((2, 3), (3, 4), (4, 5)),
    "ij,ik,il->jkl": ((2, 3), (2, 4), (2, 5)),
    "abc,abd->c": ((2, 3, 4), (2, 3, 5)),
    "btd,bsd->bts": ((2, 3, 4), (2, 5, 4)),
    "bts,bsd->btd": ((2, 3, 5), (2, 5, 4)),
    "abcd,ac->bd": ((2, 3, 4, 5), (2, 4)),
}
CASES += [
    Case(
        f"einsum {s}",
        lambda *t, s=s: ops.einsum(s, *t),
        tuple(floats(*shape) for shape in shapes),
        dynamic=False,
    )
    for s, shapes in EINSUM.items()
]
CASES += [
    Case(
        "einsum dynamic",
        lambda x: ops.einsum("abc,cde->abde", x, floats(4, 5, 6)),
        (floats(2, 3, 4),),
    )
]

test_parity = parity_test(CASES, __name__)
