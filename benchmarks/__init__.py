"""Nacre beside its peers: `benchmarks/run --help`, `benchmarks/kernels --help`.

    __main__.py   whole models, inference and training: what to measure, from the command line to the report
    operators.py  the same for single operators over the shapes that occur in those models
    command.py    what the two have in common: options, measuring one case after the other
    cases.py      what is measured: models with their sizes, and the files that engines read
    prepare.py    makes such files: training steps, 8-bit models, operators (collect.py, torch_operators.py)
    rounds.py     engines in processes of their own, timed in turns
    worker.py     what runs in such a process
    engines/      one module for each engine
    environments.py, requirements-*.txt    what the engines are installed into
    machine.py    what the machine reaches: peak and bandwidths (machine.c)
    report.py     the tables
"""
