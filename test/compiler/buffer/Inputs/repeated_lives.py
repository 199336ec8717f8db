"""Prints a function whose buffers live as they do in equal layers, one after the other.

Of each layer at most 576 bytes live at a time. In the order of their sizes they take 768, and what one layer gains by
another order is lost in the others.
"""

LAYERS = 12
# Bytes, and the first and the last step of a life.
LIVES = [(256, 0, 2), (64, 1, 4), (256, 2, 3), (192, 3, 4), (256, 4, 4)]
STEPS = 5

print("func.func @layers() {\n  %i = arith.constant 0 : index")
for layer in range(LAYERS):
    names = [(f"%b{layer}_{number}", f"memref<{size // 4}xi32>") for number, (size, *_) in enumerate(LIVES)]
    for step in range(STEPS):
        for (name, kind), (_, first, _) in zip(names, LIVES):
            if step == first:
                print(f"  {name} = memref.alloc() : {kind}")
        for number, ((name, kind), (_, first, last)) in enumerate(zip(names, LIVES)):
            if first <= step <= last:
                print(f"  %x{layer}_{number}_{step} = memref.load {name}[%i] : {kind}")
print("  return\n}")
