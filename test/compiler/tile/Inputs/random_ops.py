"""Makes random structured ops on memrefs, as functions in MLIR's syntax.

Loops: parallel and reduction, static and dynamic, of sizes around vector lengths, also 0.
Operands: permuted, broadcast, windows (d0 * 2 + d1), packed (d0 floordiv 32, d0 mod 32),
strided layouts. Bodies: arithmetic, comparisons, casts, loop numbers. Around the op: fills
of the outputs, an element-wise op on the result.
"""
import math
import re

SIZES = [1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 14, 15, 16, 17, 20, 24, 31, 32, 33, 48, 50, 64, 70]
FLOATS = ("f16", "f32", "f64")


def dense_strides(shape):
    strides = [1] * len(shape)
    for dim in range(len(shape) - 2, -1, -1):
        strides[dim] = strides[dim + 1] * shape[dim + 1]
    return strides


class Operand:
    """A memref: its type, and how an array of `extent` elements holds it."""

    def __init__(self, name, element, exprs, shape, dynamic):
        self.name, self.element, self.exprs = name, element, exprs
        self.shape, self.dynamic = shape, dynamic
        self.strides, self.offset = dense_strides(shape), 0
        self.extent = math.prod(shape)
        self.layout = ""

    def make_strided(self, rng):
        padded = [size + rng.choice([0, 1, 3]) for size in self.shape]
        step = rng.choice([1, 1, 1, 2, 3])
        order = list(range(len(padded)))
        if rng.random() < 0.3:
            rng.shuffle(order)
        self.strides, extent = [0] * len(padded), step
        for dim in reversed(order):
            self.strides[dim], extent = extent, extent * max(padded[dim], 1)
        self.offset = rng.choice([0, 0, 5])
        self.extent = self.offset + 1 + sum(
            (max(size, 1) - 1) * stride for size, stride in zip(self.shape, self.strides))
        shown = ["?" if rng.random() < 0.4 else str(stride) for stride in self.strides]
        offset = "?" if rng.random() < 0.5 else str(self.offset)
        self.layout = f", strided<[{', '.join(shown)}], offset: {offset}>"

    @property
    def type(self):
        dims = "".join(f"{'?' if dynamic else size}x"
                       for size, dynamic in zip(self.shape, self.dynamic))
        return f"memref<{dims}{self.element}{self.layout}>"

    def map(self, loops):
        return f"affine_map<({', '.join(f'd{i}' for i in range(loops))}) -> ({', '.join(self.exprs)})>"


# Kinds of loops and maps of the inputs of common ops; the output has all parallel loops.
TEMPLATES = [
    ("ppr", ["d0, d2", "d2, d1"]),
    ("ppr", ["d0, d2", "d1, d2"]),
    ("ppr", ["d2, d0", "d2, d1"]),
    ("ppr", ["d2, d0", "d1, d2"]),
    ("ppr", ["d0, d2", "d1 floordiv 32, d2, d1 mod 32"]),
    ("ppr", ["d0, d2", "d1 floordiv 48, d2, d1 mod 48"]),
    ("pppr", ["d0, d1, d3", "d0, d2, d3"]),
    ("pppr", ["d1, d0, d3", "d2, d0, d3"]),
    ("pppr", ["d0, d1, d3", "d0, d3, d2"]),
    ("pppprrr", ["d0, d1 + d4, d2 + d5, d6", "d3 floordiv 32, d4, d5, d6, d3 mod 32"]),
    ("pppprrr", ["d0, d1 * 2 + d4, d2 * 2 + d5, d6", "d4, d5, d6, d3"]),
    ("pppprrr", ["d0, d6, d1 + d4 * 2, d2 + d5 * 2", "d3, d6, d4, d5"]),
    ("pppprr", ["d0, d1 + d4, d2 + d5, d3", "d4, d5, d3"]),
    ("pppprr", ["d0, d1 + d4, d2 + d5, d3", "d3, d4, d5"]),
    ("pppprrr", ["d0, d1 + d4, d2 + d5, d6", "d3, d6, d4, d5"]),
    ("pr", ["d0, d1", "d1"]),
    ("pr", ["d1, d0", "d1"]),
    ("pp", ["d1, d0"]),
    ("ppp", ["d0, d2, d1"]),
    ("ppp", ["d2, d0, d1", "d1"]),
]


class Body:
    """Straight-line code on elements."""

    def __init__(self, rng, element):
        self.rng, self.element, self.lines = rng, element, []
        self.is_float = element in FLOATS

    def add(self, code):
        value = f"%v{len(self.lines)}"
        self.lines.append(f"{value} = {code}")
        return value

    def op(self, float_op, int_op, *operands):
        name = float_op if self.is_float else int_op
        return self.add(f"arith.{name} {', '.join(operands)} : {self.element}")

    def random_op(self, a, b):
        kind = self.rng.randrange(7)
        if kind < 6:
            return self.op(["addf", "mulf", "subf", "maximumf", "minnumf", "addf"][kind],
                           ["addi", "muli", "subi", "maxsi", "minui", "xori"][kind], a, b)
        compare = "cmpf olt," if self.is_float else "cmpi slt,"
        test = self.add(f"arith.{compare} {a}, {b} : {self.element}")
        if self.is_float and self.rng.random() < 0.5:
            wide = self.add(f"arith.extui {test} : i1 to i32")
            return self.add(f"arith.uitofp {wide} : i32 to {self.element}")
        return self.add(f"arith.select {test}, {a}, {b} : {self.element}")

    def loop_number(self, loops):
        number = self.add(f"linalg.index {self.rng.randrange(loops)} : index")
        if self.rng.random() < 0.5:
            number = self.add(f"arith.addi {number}, %c3 : index")
        if not self.is_float and self.rng.random() < 0.5:
            # Division by what is zero in no lane but those beyond the end.
            number = self.add(f"arith.remui %c100, {self.add(f'arith.addi {number}, %c1 : index')} : index")
        width = "i64" if self.element == "i64" else "i32"
        value = self.add(f"arith.index_cast {number} : index to {width}")
        if self.is_float:
            return self.add(f"arith.sitofp {value} : {width} to {self.element}")
        if self.element == "i8":
            return self.add(f"arith.trunci {value} : i32 to i8")
        return value


class RandomOp:
    def __init__(self, rng, name):
        self.rng, self.name = rng, name
        self.template = rng.choice(TEMPLATES) if rng.random() < 0.4 else None
        loops = len(self.template[0]) if self.template else rng.randint(1, 4)
        self.kinds = self.template[0] if self.template else [rng.choice("pppr") for _ in range(loops)]
        self.element = rng.choice(["f32"] * 6 + ["f64", "f16", "i8", "i32", "i64"])
        self.sizes = []
        for _ in range(loops):
            size = rng.choice(SIZES) if rng.random() < 0.9 else rng.choice([100, 129, 200, 600])
            while size * math.prod(max(s, 1) for s in self.sizes) > 100000:
                size = max(1, size // 2)
            self.sizes.append(size if rng.random() > 0.03 else 0)
        dynamic = rng.random() < 0.6
        self.dynamic = [size == 0 or (dynamic and rng.random() < 0.5) for size in self.sizes]
        self.parallel = [i for i in range(loops) if self.kinds[i] == "p"]
        self.reduction = [i for i in range(loops) if self.kinds[i] == "r"]
        self.reduced = math.prod(max(self.sizes[i], 1) for i in self.reduction)
        self.make_operands()
        self.text = self.make_text()

    def make_operands(self):
        rng, loops = self.rng, len(self.sizes)
        if self.template:
            self.inputs = [self.make_mapped(f"%a{k}", exprs.split(", "))
                           for k, exprs in enumerate(self.template[1])]
        else:
            self.make_random_inputs()
        self.outputs = []
        for k in range(1 if self.template or rng.random() < 0.8 else 2):
            dims = list(self.parallel)
            if not self.template and rng.random() < 0.3:
                rng.shuffle(dims)
            self.outputs.append(self.make_plain(f"%r{k}", dims))
        self.extra, self.target = [], None
        if self.reduction and len(self.outputs) == 1 and rng.random() < 0.5:
            self.make_target()
        self.operands = self.inputs + self.outputs + self.extra

    def make_random_inputs(self):
        rng, loops = self.rng, len(self.sizes)
        count = rng.choice([1, 2, 2, 3]) if self.reduction else rng.choice([0, 1, 1, 2, 2, 2, 3])
        subsets, plain = [], [set() for _ in range(count)]
        for _ in range(count):
            dims = [d for d in range(loops) if rng.random() < 0.75]
            if rng.random() < 0.4:
                rng.shuffle(dims)
            subsets.append(dims)
        for loop in self.reduction:  # some operand must give the size of each
            k = rng.randrange(count)
            plain[k].add(loop)
            if loop not in subsets[k]:
                subsets[k].append(loop)
        packed = rng.random() < 0.2
        narrow = self.element == "f32" and rng.random() < 0.15
        self.inputs = [
            self.make_input(f"%a{k}", "f16" if narrow and k % 2 == 0 else self.element,
                            subsets[k], plain[k], packed) for k in range(count)]

    def make_target(self):
        """Operands of an element-wise op on the result, in place or not."""
        dims = [int(e[1:]) for e in self.outputs[0].exprs]
        self.bias = [k for k in range(len(dims)) if self.rng.random() < 0.6]
        self.extra.append(Operand("%b", self.element, None, [self.sizes[dims[k]] for k in self.bias],
                                  [self.dynamic[dims[k]] for k in self.bias]))
        self.target = self.outputs[0]
        if self.rng.random() < 0.5:
            self.target = Operand("%e", self.element, None, [self.sizes[d] for d in dims],
                                  [self.dynamic[d] for d in dims])
            self.extra.append(self.target)

    def make_mapped(self, name, exprs):
        shape, dynamic = [], []
        largest = {f"d{i}": max(size, 1) - 1 for i, size in enumerate(self.sizes)}
        for expr in exprs:
            loops = [i for i in range(len(self.sizes)) if f"d{i}" in expr]
            if len(expr) == 2:
                shape.append(self.sizes[loops[0]])
            else:
                shape.append(eval(re.sub(r"mod (\d+)", r"* 0 + \1 - 1", expr.replace("floordiv", "//")),
                                  largest.copy()) + 1)
            dynamic.append("mod" not in expr and any(self.dynamic[i] for i in loops))
        operand = Operand(name, self.element, exprs, shape, dynamic)
        if self.rng.random() < 0.3:
            operand.make_strided(self.rng)
        return operand

    def make_plain(self, name, dims):
        operand = Operand(name, self.element, [f"d{d}" for d in dims], [self.sizes[d] for d in dims],
                          [self.dynamic[d] for d in dims])
        if dims and self.rng.random() < 0.3:
            operand.make_strided(self.rng)
        return operand

    def make_input(self, name, element, dims, plain, packed):
        rng, exprs, shape, dynamic, block = self.rng, [], [], [], None

        def add(expr, size, is_dynamic):
            exprs.append(expr)
            shape.append(size)
            dynamic.append(is_dynamic)

        at = 0
        while at < len(dims):
            d = dims[at]
            at += 1
            size, is_dynamic, chance = max(self.sizes[d], 1), self.dynamic[d], rng.random()
            if d in plain:
                add(f"d{d}", self.sizes[d], is_dynamic)
            elif packed and not block and chance < 0.5:
                block = (d, rng.choice([8, 16, 32, 32]))
                add(f"d{d} floordiv {block[1]}", -(-size // block[1]), is_dynamic)
            elif chance < 0.12 and at < len(dims) and dims[at] not in plain:
                e, a, b, c = dims[at], rng.choice([1, 1, 2, 3]), rng.choice([1, 1, 2]), rng.choice([0, 0, 1])
                at += 1
                add(f"d{d} * {a} + d{e} * {b} + {c}",
                    (size - 1) * a + (max(self.sizes[e], 1) - 1) * b + c + 1,
                    is_dynamic or self.dynamic[e])
            elif chance < 0.16:
                add(f"d{d} * 2", size * 2 - 1, is_dynamic)
            elif chance < 0.2:
                add(f"d{d} floordiv 2", (size + 1) // 2, is_dynamic)
            else:
                add(f"d{d}", self.sizes[d], is_dynamic)
            if rng.random() < 0.05:
                add("0", rng.choice([1, 3]), False)
        if block:
            add(f"d{block[0]} mod {block[1]}", block[1], False)
        operand = Operand(name, element, exprs, shape, dynamic)
        if shape and rng.random() < 0.3:
            operand.make_strided(rng)
        return operand

    def make_body(self):
        rng, body = self.rng, Body(self.rng, self.element)
        values = []
        for k, operand in enumerate(self.inputs):
            values.append(f"%i{k}" if operand.element == self.element else
                          body.add(f"arith.extf %i{k} : {operand.element} to {self.element}"))
        if rng.random() < 0.15:
            values.append(body.loop_number(len(self.sizes)))
        if not values or rng.random() < 0.2:
            values.append("%k")
        value = values[0]
        for other in values[1:]:
            product = self.reduction and rng.random() < 0.5
            value = body.op("mulf", "muli", value, other) if product else body.random_op(value, other)
        if rng.random() < 0.2:
            value = body.random_op(value, rng.choice(values))
        results = []
        for k in range(len(self.outputs)):
            result = value if k == 0 else body.random_op(value, rng.choice(values))
            if self.reduction:
                pair = [f"%o{k}", result]
                if rng.random() < 0.5:
                    pair.reverse()
                kind = rng.choice([0, 0, 0, 1, 2, 3, 4])
                if kind == 4:  # no plain reduction
                    pair = [body.op("mulf", "muli", f"%o{k}", "%k"), result]
                    kind = 0
                result = body.op(["addf", "maximumf", "maxnumf", "minimumf"][kind],
                                 ["addi", "maxsi", "maxui", "xori"][kind], *pair)
            elif rng.random() < 0.15:
                result = body.op("addf", "addi", result, f"%o{k}")
            results.append(result)
        return body.lines, results

    def make_text(self):
        lines, results = self.make_body()
        maps = ", ".join(o.map(len(self.sizes)) for o in self.inputs + self.outputs)
        kinds = ", ".join('"parallel"' if k == "p" else '"reduction"' for k in self.kinds)
        constant = "0.5" if self.element in FLOATS else "3"
        text = f"func.func @{self.name}({', '.join(f'{o.name}: {o.type}' for o in self.operands)}) {{\n"
        text += f"  %k = arith.constant {constant} : {self.element}\n"
        text += "".join(f"  %c{c} = arith.constant {c} : index\n" for c in (1, 3, 100))
        if self.reduction and self.rng.random() < 0.5:
            for o in self.outputs:
                text += f"  linalg.fill ins(%k : {self.element}) outs({o.name} : {o.type})\n"
        arguments = [f"%i{k}: {o.element}" for k, o in enumerate(self.inputs)]
        arguments += [f"%o{k}: {o.element}" for k, o in enumerate(self.outputs)]
        text += f"  linalg.generic {{indexing_maps = [{maps}], iterator_types = [{kinds}]}}\n"
        if self.inputs:
            text += f"      ins({names(self.inputs)} : {types(self.inputs)})"
        text += f" outs({names(self.outputs)} : {types(self.outputs)}) {{\n"
        text += f"  ^bb0({', '.join(arguments)}):\n" + "".join(f"    {line}\n" for line in lines)
        text += f"    linalg.yield {', '.join(results)} : {', '.join([self.element] * len(results))}\n  }}\n"
        return text + self.make_epilogue() + "  return\n}\n"

    def make_epilogue(self):
        """An element-wise op on the first output, its loops in another order."""
        if not self.target:
            return ""
        rank = len(self.target.shape)
        order = list(range(rank))
        if self.rng.random() < 0.3:
            self.rng.shuffle(order)

        def map_of(dims):
            return (f"affine_map<({', '.join(f'd{i}' for i in range(rank))}) -> "
                    f"({', '.join(f'd{order[d]}' for d in dims)})>")

        result = self.outputs[0]
        in_place = self.target is result
        inputs = [self.extra[0]] + ([] if in_place else [result])
        maps = [map_of(self.bias)] + [map_of(range(rank))] * (1 if in_place else 2)
        values = ["%p", "%q"] if in_place else ["%p", "%q", "%s"]
        add, largest = ("addf", "maxnumf") if self.element in FLOATS else ("addi", "maxsi")
        return f"""  linalg.generic {{indexing_maps = [{', '.join(maps)}],
                  iterator_types = [{', '.join(['"parallel"'] * rank)}]}}
      ins({names(inputs)} : {types(inputs)}) outs({self.target.name} : {self.target.type}) {{
  ^bb0({', '.join(f'{v}: {self.element}' for v in values)}):
    %0 = arith.{add} %q, %p : {self.element}
    %1 = arith.{largest} %0, %k : {self.element}
    linalg.yield %1 : {self.element}
  }}
"""


def names(operands):
    return ", ".join(o.name for o in operands)


def types(operands):
    return ", ".join(o.type for o in operands)
