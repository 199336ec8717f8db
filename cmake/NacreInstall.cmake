# What `cmake --install` lays down, and what find_package(Nacre) finds there and in the
# build tree: the component Runtime (a library that needs libc alone) and, where it is
# built, Compiler (libnacre, which holds the runtime too, and the command `nacre`). Of the
# headers only the public ones, side by side in include/nacre.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(public_headers ${PROJECT_BINARY_DIR}/include/nacre)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Nacre)
set(build_package_dir ${PROJECT_BINARY_DIR}/lib/cmake/Nacre)

# nacre_public_header(SOURCE NAME COMPONENT): copies a header under the name that it is
# installed by; includes from the project's root become those names.
function(nacre_public_header source name component)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${source})
  file(READ ${PROJECT_SOURCE_DIR}/${source} text)
  string(REGEX REPLACE "#include \"runtime/api/([a-z_.]+)\"" "#include \"\\1\"" text "${text}")
  string(REPLACE "#include \"compiler/api/Compiler.h\"" "#include \"nacre_compiler.hpp\"" text "${text}")
  string(REPLACE "#include \"frontends/builder/Graph.h\"" "#include \"nacre_graph.hpp\"" text "${text}")
  string(REPLACE "#include \"frontends/builder/Layers.h\"" "#include \"nacre_layers.hpp\"" text "${text}")
  string(REPLACE "#include \"compiler/codegen/CachedKernel.h\"" "#include \"nacre_cached_kernel.hpp\"" text "${text}")
  file(CONFIGURE OUTPUT ${public_headers}/${name} CONTENT "${text}" @ONLY NEWLINE_STYLE UNIX)
  install(FILES ${public_headers}/${name} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/nacre COMPONENT ${component})
endfunction()

# nacre_install_library(TARGET NAME COMPONENT): as Nacre::NAME.
function(nacre_install_library target name component)
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name} INSTALL_RPATH_USE_LINK_PATH ON)
  target_include_directories(${target} INTERFACE $<BUILD_INTERFACE:${public_headers}>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/nacre>)
  install(TARGETS ${target} EXPORT Nacre${component}Targets COMPONENT ${component}
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
endfunction()

# nacre_install_component(COMPONENT): its targets for CMake, its .pc file for pkg-config.
function(nacre_install_component component pc)
  install(EXPORT Nacre${component}Targets NAMESPACE Nacre:: DESTINATION ${package_dir} COMPONENT ${component})
  export(EXPORT Nacre${component}Targets NAMESPACE Nacre:: FILE ${build_package_dir}/Nacre${component}Targets.cmake)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/${pc}.in ${PROJECT_BINARY_DIR}/${pc} @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${pc} DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT ${component})
endfunction()

foreach(header nacre.h nacre.hpp nacre_spec.hpp nacre_schedule.hpp nacre_loop.hpp nacre_metric.hpp
    nacre_data.hpp nacre_reader.hpp nacre_evaluate.hpp nacre_train.hpp nacre_best.hpp)
  nacre_public_header(runtime/api/${header} ${header} Runtime)
endforeach()
nacre_install_library(nacre-runtime Runtime Runtime)
nacre_install_library(nacre-runtime-static RuntimeStatic Runtime)
# The .pc files find their prefix from where they lie.
file(RELATIVE_PATH pc_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
nacre_install_component(Runtime nacre-runtime.pc)

if(NACRE_BUILD_COMPILER)
  nacre_public_header(compiler/api/nacre_compiler.h nacre_compiler.h Compiler)
  nacre_public_header(compiler/api/nacre_trainer.h nacre_trainer.h Compiler)
  nacre_public_header(compiler/api/Compiler.h nacre_compiler.hpp Compiler)
  nacre_public_header(compiler/api/Exporter.h nacre_exporter.hpp Compiler)
  nacre_public_header(compiler/api/Cache.h nacre_cache.hpp Compiler)
  nacre_public_header(frontends/builder/Graph.h nacre_graph.hpp Compiler)
  nacre_public_header(frontends/builder/Layers.h nacre_layers.hpp Compiler)
  nacre_public_header(frontends/builder/Model.h nacre_model.hpp Compiler)
  nacre_public_header(compiler/codegen/CachedKernel.h nacre_cached_kernel.hpp Compiler)
  nacre_install_library(nacre-compiler Compiler Compiler)
  nacre_install_component(Compiler nacre.pc)
  set_target_properties(nacre PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
  install(TARGETS nacre RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT Compiler)
endif()

configure_file(${PROJECT_SOURCE_DIR}/cmake/NacreConfig.cmake ${build_package_dir}/NacreConfig.cmake COPYONLY)
write_basic_package_version_file(${build_package_dir}/NacreConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${build_package_dir}/NacreConfig.cmake ${build_package_dir}/NacreConfigVersion.cmake
  DESTINATION ${package_dir} COMPONENT Runtime)

# The wheel (tools/dev/wheel, pyproject.toml): what scikit-build-core installs.
if(TARGET nacre-python)
  add_dependencies(nacre-wheel nacre-python)
  set(component COMPONENT Wheel EXCLUDE_FROM_ALL)
  install(TARGETS nacre-python LIBRARY DESTINATION nacre ${component})
  install(TARGETS nacre-compiler-wheel LIBRARY DESTINATION nacre/lib NAMELINK_SKIP ${component})
  install(TARGETS nacre-command-wheel RUNTIME DESTINATION nacre/bin ${component})
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/frontends/python/nacre DESTINATION . ${component}
    FILES_MATCHING PATTERN "*.py" PATTERN "*.pyi" PATTERN "py.typed" PATTERN __pycache__ EXCLUDE)
endif()
