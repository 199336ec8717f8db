"""Nacre beside its peers: `benchmarks/run --help`, `benchmarks/kernels --help`.

    __main__.py   whole models, inference and training: what to measure, from the command line to the report
    operators.py  the same for single operators over the shapes that occur in those models
    cases.py      what is measured: models with their sizes, and the files that engines read
    rounds.py     engines in processes of their own, timed in turns
    worker.py     what runs in such a process
    engines/      one module for each engine
    machine.py    what the machine reaches: peak and bandwidths (machine.c)
    report.py     the tables
"""
