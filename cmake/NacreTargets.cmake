# Which folder may include which is stated by these targets and checked by
# test/layers (see docs/architecture.md, "Layers").
find_package(Threads REQUIRED)
