# The project's Python: the environment that tools/dev/setup makes, unless
# -DPython_EXECUTABLE says otherwise. Sets Python_EXECUTABLE, Python::Module.

if(NOT Python_EXECUTABLE AND EXISTS ${PROJECT_SOURCE_DIR}/.venv/bin/python)
  set(Python_EXECUTABLE ${PROJECT_SOURCE_DIR}/.venv/bin/python CACHE FILEPATH "Python of the project")
endif()
find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module)

# nacre_python_package(VARIABLE PACKAGE): the folder of an installed package.
function(nacre_python_package variable package)
  execute_process(
    COMMAND ${Python_EXECUTABLE} -c
      "import importlib.util as u; print(u.find_spec('${package}').submodule_search_locations[0])"
    OUTPUT_VARIABLE folder OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed ERROR_QUIET)
  if(failed)
    message(FATAL_ERROR "Python package '${package}' is missing for ${Python_EXECUTABLE}; "
                        "run tools/dev/setup, which makes an environment with it")
  endif()
  set(${variable} ${folder} PARENT_SCOPE)
endfunction()
