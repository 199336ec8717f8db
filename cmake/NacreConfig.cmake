# find_package(Nacre COMPONENTS Runtime Compiler): without components, what there is.
#
#   Nacre::Runtime        loads and runs compiled models; Nacre::RuntimeStatic, in the program
#   Nacre::Compiler       compiles as well, and holds the runtime: no need for both

if(NOT Nacre_FIND_COMPONENTS)
  set(Nacre_FIND_COMPONENTS Runtime)
  if(EXISTS ${CMAKE_CURRENT_LIST_DIR}/NacreCompilerTargets.cmake)
    list(APPEND Nacre_FIND_COMPONENTS Compiler)
  endif()
endif()
include(CMakeFindDependencyMacro)
find_dependency(Threads)
foreach(component ${Nacre_FIND_COMPONENTS})
  set(Nacre_${component}_FOUND FALSE)
  if(EXISTS ${CMAKE_CURRENT_LIST_DIR}/Nacre${component}Targets.cmake)
    include(${CMAKE_CURRENT_LIST_DIR}/Nacre${component}Targets.cmake)
    set(Nacre_${component}_FOUND TRUE)
  elseif(Nacre_FIND_REQUIRED_${component})
    set(Nacre_FOUND FALSE)
    set(Nacre_NOT_FOUND_MESSAGE "Nacre has no component '${component}' here (there are Runtime and, if installed, Compiler)")
  endif()
endforeach()
