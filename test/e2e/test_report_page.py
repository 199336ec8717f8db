"""The page of `nacre report --html`, with made reports, in a headless browser.

Needs no build of Nacre. The command itself is tested elsewhere.
"""

from __future__ import annotations

import copy
from pathlib import Path
from urllib.parse import quote

from browser import Page, filled, open_file, open_page

HOSTILE = "</script><img src=x onerror=document.documentElement.dataset.hacked=1>"


def remark(which: str, kind: str, text: str) -> dict:
    return {"pass": which, "kind": kind, "text": text}


# Three kernels, of which the second runs twice in a loop; two threads; one buffer of the run.
REPORT = {
    "model": "small.so",
    "source": "small.onnx",
    "compiler": "nacre 0.1.0",
    "target_cpu": "znver4",
    "machine": {"threads": 2, "peak_gflops": 200.0, "memory_gbs": 40.0},
    "run": {"median_ms": 1.5, "min_ms": 1.25, "runs": 60},
    "functions": [
        {
            "name": "main",
            "arena_bytes": 6144,
            "inputs": [{"name": "x", "dtype": "f32", "dims": ["batch", 3, None]}],
            "outputs": [{"name": "y", "dtype": "f32", "dims": [1, 10]}],
            "regions": [{"kind": "loop", "parent": -1, "first": 1, "last": 2}],
            "buffers": [
                {"kind": "input", "name": "x", "type": "1x3x8xf32", "bytes": 96, "first": 0, "last": 0},
                {"kind": "parameter", "name": "weight", "type": "4x3xf32", "bytes": 48, "first": 0, "last": 3},
                {"kind": "arena", "type": "1x4x8xf32", "bytes": 4096, "offset": 0, "first": 0, "last": 1},
                {"kind": "arena", "type": "1x4x9xf32", "bytes": 2048, "offset": 4096, "first": 1, "last": 3},
                {"kind": "allocated", "type": "?xf32", "bytes": -1, "first": 2, "last": 3},
                {"kind": "output", "name": "y", "type": "1x10xf32", "bytes": 40, "first": 3, "last": 3},
            ],
            "steps": [
                {"kernel": 0, "region": -1, "reads": [0, 1], "writes": [2]},
                {"kernel": 1, "region": 0, "reads": [2], "writes": [3]},
                {"kernel": 1, "region": 0, "reads": [3], "writes": [4]},
                {"kernel": 2, "region": -1, "reads": [3, 4, 1], "writes": [5]},
            ],
        }
    ],
    "kernels": [
        {
            "name": "conv_0",
            "nodes": ["stem/conv (Conv)", "stem/relu (Relu)"],
            "flops": 100000000,
            "bytes": 1000000,
            "launches": 1,
            "measured_ms": 1.0,
            "predicted_ms": 0.8,
            "gflops": 100.0,
            "gbs": 1.0,
            "bound": "compute",
            "roofline_percent": 50.0,
            "remarks": [
                remark("form-kernels", "passed", "fused Relu into Conv"),
                remark("form-kernels", "missed", "stopped at Loop: another region"),
                remark("choose-tiles", "analysis", "tile 6x16 fits the registers"),
            ],
        },
        {
            "name": "add_1",
            "nodes": ["body/add (Add)"],
            "flops": 1000000,
            "bytes": 4000000,
            "launches": 2,
            "measured_ms": 0.3,
            "predicted_ms": 0.31,
            "gflops": 3.0,
            "bound": "memory",
            "roofline_percent": 33.0,
            "remarks": [],
        },
        {"name": "gemm_2", "nodes": ["head (Gemm)"], "flops": 2000000, "bytes": 500000, "measured_ms": 0.2, "gflops": 10.0, "remarks": []},
    ],
    "trace": [
        {"thread": 0, "kernel": 0, "begin_us": 0.0, "end_us": 1000.0},
        {"thread": 1, "kernel": 0, "begin_us": 2.0, "end_us": 900.0},
        {"thread": 0, "kernel": 1, "begin_us": 1000.0, "end_us": 1150.0},
        {"thread": 0, "kernel": 1, "begin_us": 1150.0, "end_us": 1300.0},
        {"thread": 0, "kernel": 2, "begin_us": 1310.0, "end_us": 1500.0},
    ],
}


def opened(report: dict, fragment: str = "") -> Page:
    page = open_page(report, fragment)
    assert page.errors == ""
    assert page.console == ""
    for body in page.root.all("body"):
        shown = "".join(s.text for s in body.all("main") + body.all("header"))
        for word in ("NaN", "undefined", "Infinity", "null"):
            assert word not in shown
        for element in body.all():
            assert not any("NaN" in value for value in element.attributes.values()), element
    return page


def rows(page: Page) -> list[list[str]]:
    (body,) = page.root.by_id("kernels").all("tbody")
    return [[cell.text for cell in row.all("td")] for row in body.all("tr")]


def test_every_view_shows_all() -> None:
    page = opened(REPORT)
    graph = page.root.by_id("graph")
    assert [b["data-step"] for b in graph.all("g", classed="box")] == ["0", "1", "2", "3"]
    assert len(graph.all("g", classed="end")) == 2  # x and y
    assert len(graph.all("g", classed="region")) == 1
    assert [t.text for t in graph.all("text", classed="label")] == ["loop 0"]
    # From the last step that wrote a tensor to each that reads it.
    edges = {(e.attributes.get("data-from", ""), e["data-to"]) for e in graph.all("path", classed="edge")}
    assert edges == {("", "0"), ("0", "1"), ("1", "2 3"), ("2", "3"), ("3", "")}
    assert len(rows(page)) == 3
    assert len(page.root.by_id("roofline").all("circle")) == 3
    assert len(page.root.by_id("roofline").all("path", classed="roof")) == 1
    memory = page.root.by_id("memory")
    assert len(memory.all("rect", classed="arena")) == 2
    assert [li.text for li in memory.by_id("allocated").all("li")] == ["?xf32, allocated, size known by the run, steps 2 to 3"]
    threads = page.root.by_id("threads")
    assert len(threads.all("rect", classed="lane")) == 2
    assert len(threads.all("rect", classed="bar-of-lane")) == 5
    facts = page.root.by_id("facts").text
    assert "median 1.50 ms" in facts
    assert "x: f32[batch, 3, ?]" in facts


def test_an_edge_is_from_the_last_writer() -> None:
    report = copy.deepcopy(REPORT)
    report["functions"][0]["steps"][2]["writes"] = [4, 3]
    edges = opened(report).root.by_id("graph").all("path", classed="edge")
    # Both tensors that step 3 reads are step 2's now, though step 1 wrote one of them before.
    assert sorted((e.attributes.get("data-from", ""), e["data-to"]) for e in edges) == [("", "0"), ("0", "1"), ("1", "2"), ("2", "3"), ("2", "3"), ("3", "")]


def test_boxes_do_not_overlap_and_edges_go_down() -> None:
    page = opened(REPORT)
    boxes = page.root.by_id("graph").all("g", classed="box")
    places = [tuple(float(v) for v in b["transform"][10:-1].split()) for b in boxes]
    assert [y for _, y in places] == sorted({y for _, y in places}), "each of the four reads the one before"


def test_buttons_and_keys_move_the_graph(tmp_path: Path) -> None:
    def moved(script: str) -> str:
        path = tmp_path / "page.html"
        path.write_text(filled(REPORT).replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")
        shown = open_file(path)
        assert shown.errors == ""
        (plane,) = [c for c in shown.root.by_id("graph").children if not isinstance(c, str)][:1]
        return plane["transform"]

    press = "byId('graph').dispatchEvent(new KeyboardEvent('keydown', {key: '%s'}))"
    views = [moved(s) for s in ("", "byId('in').click()", "byId('out').click()", press % "ArrowUp", press % "n")]
    assert len(set(views)) == len(views)
    assert moved(press % "+") == moved("byId('in').click()")
    assert moved(press % "0") == moved("byId('fit').click()")


def test_a_selected_kernel_tells_why() -> None:
    page = opened(REPORT, "kernel=conv_0")
    details = page.root.by_id("details")
    assert [h.text for h in details.all("h3", classed="pass")] == ["form-kernels", "choose-tiles"]
    assert [r.text for r in details.all("div", classed="remark")] == [
        "✓ passedfused Relu into Conv",
        "✗ missedstopped at Loop: another region",
        "i analysistile 6x16 fits the registers",
    ]
    assert "stem/relu (Relu)" in details.text
    assert "weight, 4x3xf32, parameter, 48 B" in details.text
    assert "1.25 × predicted" in details.text
    assert [b["data-step"] for b in page.root.all("g", classed="selected")] == ["0"]
    assert len(page.root.by_id("kernels").all("tr", classed="selected")) == 1
    assert len(page.root.by_id("threads").all("rect", classed="selected")) == 2


def test_a_click_selects(tmp_path: Path) -> None:
    # The page's own handlers, by a script in the page in place of a person.
    page = filled(REPORT).replace("</body>", "<script>document.querySelectorAll('.box')[3].dispatchEvent(new MouseEvent('click'));</script></body>")
    assert "MouseEvent" in page
    path = tmp_path / "page.html"
    path.write_text(page, encoding="utf-8")
    shown = open_file(path)
    assert shown.errors == ""
    assert shown.root.by_id("details").all("h2")[0].text == "gemm_2"


def test_search_finds_onnx_nodes() -> None:
    page = opened(REPORT, "search=BODY/add")
    assert [b["data-kernel"] for b in page.root.all("g", classed="found")] == ["1", "1"]
    assert page.root.by_id("found").text == "2 found"
    page = opened(REPORT, "search=no-such-node")
    assert page.root.all("g", classed="found") == []
    assert page.root.by_id("found").text == "none found"


def test_the_table_is_sorted() -> None:
    assert [r[0] for r in rows(opened(REPORT))] == ["conv_0", "add_1", "gemm_2"]
    # What is not known comes last: gemm_2 has no prediction.
    assert [r[0] for r in rows(opened(REPORT, "sort=moved"))] == ["add_1", "conv_0", "gemm_2"]
    assert [r[0] for r in rows(opened(REPORT, "sort=predicted"))] == ["conv_0", "add_1", "gemm_2"]
    assert [r[0] for r in rows(opened(REPORT, "sort=kernel"))] == ["add_1", "conv_0", "gemm_2"]


def test_hostile_names_are_text() -> None:
    report = copy.deepcopy(REPORT)
    report["model"] = report["source"] = report["run"]["runs"] = HOSTILE
    function = report["functions"][0]
    function["name"] = function["inputs"][0]["name"] = HOSTILE
    function["regions"][0]["kind"] = HOSTILE
    for buffer in function["buffers"]:
        buffer["name"] = buffer["type"] = HOSTILE
    for kernel in report["kernels"]:
        kernel["name"] = HOSTILE
        kernel["nodes"] = [HOSTILE, "__proto__", "{{x}}"]
        kernel["remarks"] = [remark(HOSTILE, HOSTILE, HOSTILE), remark("__proto__", "constructor", "x")]
    page = opened(report, "kernel=" + quote(HOSTILE) + "&search=" + quote("</script>"))
    assert page.root.all("img") == []
    assert "data-hacked" not in page.root.attributes
    assert page.root.by_id("title").text == HOSTILE
    assert page.root.by_id("details").all("h2")[0].text == HOSTILE
    assert [h.text for h in page.root.by_id("details").all("h3", classed="pass")] == [HOSTILE, "__proto__"]
    assert page.root.by_id("found").text == "4 found"


def test_without_measurements_and_with_dynamic_sizes() -> None:
    report = copy.deepcopy(REPORT)
    for key in ("source", "machine", "run", "trace"):
        del report[key]
    for buffer in report["functions"][0]["buffers"]:
        buffer["bytes"] = -1
        buffer.pop("offset", None)
    for kernel in report["kernels"]:
        for key in ("launches", "measured_ms", "predicted_ms", "gflops", "gbs", "bound", "roofline_percent"):
            kernel.pop(key, None)
        kernel["flops"] = kernel["bytes"] = -1
    page = opened(report, "kernel=conv_0")
    assert len(page.root.all("g", classed="box")) == 4
    assert rows(page)[0][3:5] == ["not measured", "not predicted"]
    assert rows(page)[0][8:] == ["depends on sizes", "depends on sizes"]
    assert "there is no roofline" in page.root.by_id("roofline").text
    assert "No buffer has a planned place" in page.root.by_id("memory").text
    assert "No run was traced" in page.root.by_id("threads").text
    assert "not measured" in page.root.by_id("details").text


def test_a_predicted_roofline_is_hollow_and_has_no_roofs() -> None:
    report = copy.deepcopy(REPORT)
    del report["machine"]
    for kernel in report["kernels"]:
        for key in ("measured_ms", "gflops"):
            kernel.pop(key, None)
    page = opened(report)
    roofline = page.root.by_id("roofline")
    assert len(roofline.all("circle", classed="predicted")) == 2
    assert roofline.all("path", classed="roof") == []
    assert "no roofs" in roofline.text
    assert "1 of 3 kernels" in roofline.text


def test_a_model_without_kernels() -> None:
    page = opened({"model": "empty.so", "compiler": "c", "target_cpu": "t", "functions": [], "kernels": []})
    assert "launches no kernel" in page.root.by_id("graph-note").text


def test_two_functions() -> None:
    report = copy.deepcopy(REPORT)
    report["functions"].append({"name": "train", "arena_bytes": 0, "inputs": [], "outputs": [], "regions": [], "buffers": [], "steps": [{"kernel": 2, "region": -1, "reads": [], "writes": []}]})
    assert len(opened(report).root.all("g", classed="box")) == 4
    assert len(opened(report, "function=train").root.all("g", classed="box")) == 1


def test_faults_are_caught() -> None:
    # Else the checks above for no error would say nothing.
    report = copy.deepcopy(REPORT)
    report["functions"][0]["steps"][0] = None
    page = open_page(report)
    assert "graph-note: " in page.errors
    assert len(rows(page)) == 3


def test_two_thousand_kernels() -> None:
    count = 2000
    buffers = [{"kind": "input", "name": "x", "type": "f32", "bytes": 4, "first": 0, "last": count}]
    buffers += [{"kind": "arena", "type": "f32", "bytes": 64, "offset": i % 4 * 64, "first": i, "last": i + 3} for i in range(count)]
    # A residual connection over three, and a mask that is read all the way down.
    steps = [{"kernel": i, "region": -1, "reads": [i] + ([i - 3] if i > 3 and i % 3 == 0 else []) + [0] * (i % 10 == 0), "writes": [i + 1]} for i in range(count)]
    kernels = [{"name": f"k_{i}", "nodes": [f"n{i} (Add)"], "flops": 10 + i, "bytes": 10, "remarks": []} for i in range(count)]
    page = opened({**REPORT, "kernels": kernels, "trace": [], "functions": [{**REPORT["functions"][0], "regions": [], "buffers": buffers, "steps": steps}]})
    graph = page.root.by_id("graph")
    assert len(graph.all("g", classed="box")) == count
    assert len(graph.all("g", classed="overview")[0].all("rect", classed="share")) == count
    # (half a second on a machine of its own; this one may be shared)
    assert int(graph["data-layout-ms"]) < 5000
