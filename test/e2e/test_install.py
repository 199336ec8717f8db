"""An installed tree, and programs built against it: find_package and pkg-config, from the
installed tree and from the build tree."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest

import small_models
from support import BUILD, ROOT, nacre

PUBLIC = {"nacre.h", "nacre.hpp", "nacre_spec.hpp", "nacre_schedule.hpp", "nacre_loop.hpp", "nacre_metric.hpp",
          "nacre_data.hpp", "nacre_reader.hpp", "nacre_evaluate.hpp", "nacre_train.hpp", "nacre_best.hpp"}
PUBLIC_COMPILER = {
    "nacre_compiler.h", "nacre_trainer.h", "nacre_compiler.hpp", "nacre_exporter.hpp", "nacre_cache.hpp", "nacre_cached_kernel.hpp",
    "nacre_graph.hpp", "nacre_layers.hpp", "nacre_model.hpp",
}

RUN_C = """
#include "nacre.h"
#include <stdio.h>
int main(int argc, char **argv) {
  nacre_model *model; nacre_session *session;
  float values[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  nacre_tensor in[2] = {{0}}, out = {0};
  for (int i = 0; i < 2; ++i) {
    in[i].data = values; in[i].dtype = NACRE_F32; in[i].rank = 2; in[i].dims[0] = 2; in[i].dims[1] = 4;
  }
  if (argc != 2 || nacre_model_load(argv[1], &model) || nacre_session_create(model, NULL, &session) ||
      nacre_session_run(session, 0, in, 2, &out, 1))
    return puts(nacre_last_error()), 1;
  printf("%g %g\\n", ((float *)out.data)[0], ((float *)out.data)[7]);
  nacre_tensor_release(&out); nacre_session_destroy(session); nacre_model_release(model);
  return 0;
}
"""
COMPILE_C = """
#include "nacre_compiler.h"
#include <stdio.h>
int main(int argc, char **argv) {
  nacre_compile_options options = NACRE_COMPILE_OPTIONS_INIT;
  nacre_model *model; nacre_session *session;
  if (argc != 2 || nacre_compile(argv[1], &options, &model) || nacre_session_create(model, NULL, &session))
    return puts(nacre_compile_last_error()), 1;
  puts("compiled");
  nacre_session_destroy(session); nacre_model_release(model);
  return 0;
}
"""
COMPILE_CPP = """
#include "nacre_cache.hpp"
#include "nacre_compiler.hpp"
#include "nacre_exporter.hpp"
#include "nacre_train.hpp"
#include <cstdio>
int main(int argc, char **argv) {
  nacre::CompileTask task = nacre::compileAsync(std::string(argv[1]));
  auto model = task.take();
  if (!model)
    return std::puts(model.error().message.c_str()), 1;
  std::vector<float> x(8, 1);
  auto session = nacre::Session::create(*model, {.threads = 2});
  auto outputs = session->run({nacre::view(x, {2, 4}), nacre::view(x, {2, 4})});
  std::printf("%g\\n", outputs->front().as<float>()[3]);
}
"""
PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES C CXX)
set(CMAKE_CXX_STANDARD 20)
find_package(Nacre 0.1 REQUIRED COMPONENTS {component})
add_executable(program {source})
target_link_libraries(program PRIVATE {target})
"""


def run(*command: str | Path, **options: object) -> str:
    ran = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, timeout=300, **options)
    assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installed tree which has been moved: nothing in it knows where it was made."""
    folder = tmp_path_factory.mktemp("install")
    run("cmake", "--install", BUILD, "--prefix", folder / "first")
    (folder / "first").rename(folder / "moved")
    return folder / "moved"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    model = small_models.save(small_models.SUM, folder / "sum.onnx")
    nacre("compile", model, "-o", folder / "sum.so")
    return model


def build(folder: Path, found_in: Path, component: str, target: str, source: str, text: str) -> Path:
    folder.mkdir()
    (folder / source).write_text(text)
    (folder / "CMakeLists.txt").write_text(PROJECT.format(component=component, source=source, target=target))
    run(
        "cmake", "-G", "Ninja", "-S", folder, "-B", folder / "build", f"-DCMAKE_PREFIX_PATH={found_in}",
        "-DCMAKE_C_COMPILER=cc", "-DCMAKE_CXX_COMPILER=clang++-22",
    )
    run("cmake", "--build", folder / "build")
    return folder / "build" / "program"


def needed(program: Path) -> str:
    return run("readelf", "-d", program)


def test_only_public_headers_are_installed(prefix: Path) -> None:
    found = {str(path.relative_to(prefix / "include")) for path in (prefix / "include").rglob("*") if path.is_file()}
    assert found == {f"nacre/{name}" for name in PUBLIC | PUBLIC_COMPILER}
    for header in (prefix / "include/nacre").iterdir():
        assert '#include "runtime/' not in header.read_text()
        assert '#include "compiler/' not in header.read_text()
        assert '#include "frontends/' not in header.read_text()


@pytest.mark.parametrize("tree", ["installed", "build"])
def test_find_package(tree: str, prefix: Path, model: Path, tmp_path: Path) -> None:
    where = prefix if tree == "installed" else BUILD
    program = build(tmp_path / "runtime", where, "Runtime", "Nacre::Runtime", "main.c", RUN_C)
    assert run(program, model.with_suffix(".so")) == "2 16\n"
    assert "nacre-runtime" in needed(program)
    assert "LLVM" not in run("ldd", program)
    program = build(tmp_path / "static", where, "Runtime", "Nacre::RuntimeStatic", "main.c", RUN_C)
    assert run(program, model.with_suffix(".so")) == "2 16\n"
    assert "nacre" not in needed(program)
    program = build(tmp_path / "compiler", where, "Compiler", "Nacre::Compiler", "main.cpp", COMPILE_CPP)
    assert run(program, model) == "2\n"


def test_builder_example(prefix: Path, tmp_path: Path) -> None:
    """A model written and trained in C++, against the installed tree; what it saves is ONNX."""
    run(
        "cmake", "-G", "Ninja", "-S", ROOT / "examples/builder", "-B", tmp_path, f"-DCMAKE_PREFIX_PATH={prefix}",
        "-DCMAKE_CXX_COMPILER=clang++-22",
    )
    run("cmake", "--build", tmp_path)
    printed = run(tmp_path / "ring", tmp_path / "ring.onnx")
    assert "\nepoch 10: loss " in printed
    assert float(printed.split()[-2]) >= 96
    onnx.checker.check_model(onnx.load(tmp_path / "ring.onnx"), full_check=True)


def test_a_component_that_is_not_there(prefix: Path, tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text(
        PROJECT.format(component="Runtime Pearls", source="main.c", target="Nacre::Runtime")
    )
    command = ["cmake", "-G", "Ninja", "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}"]
    command += ["-DCMAKE_C_COMPILER=cc", "-DCMAKE_CXX_COMPILER=clang++-22"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    assert "no component" in ran.stderr


@pytest.mark.parametrize(("package", "text"), [("nacre-runtime", RUN_C), ("nacre", RUN_C), ("nacre", COMPILE_C)])
def test_pkg_config(package: str, text: str, prefix: Path, model: Path, tmp_path: Path) -> None:
    environment = os.environ | {"PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig")}
    flags = run("pkg-config", "--cflags", "--libs", package, env=environment).split()
    (tmp_path / "main.c").write_text(text)
    program = tmp_path / "program"
    run("cc", "-std=c11", tmp_path / "main.c", "-o", program, *flags, f"-Wl,-rpath,{prefix}/lib")
    expected, argument = ("2 16\n", model.with_suffix(".so")) if text is RUN_C else ("compiled\n", model)
    assert run(program, argument) == expected


def test_the_installed_command(prefix: Path, model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((2, 4), np.float32))
    command = [prefix / "bin/nacre", "run", model, "--input", "x=x.npy", "--input", "y=x.npy"]
    run(*command, cwd=tmp_path)
    np.testing.assert_array_equal(np.load(tmp_path / "z.npy"), np.full((2, 4), 2, np.float32))
