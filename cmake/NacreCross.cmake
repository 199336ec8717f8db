# Machines that the compiler can make complete models for: NACRE_MACHINES, with the flags to
# compile (NACRE_FLAGS_<machine>) and to link (NACRE_LINK_<machine>) for each. This one,
# always; others where clang finds their C and C++ headers.
include(CheckCXXSourceCompiles)

set(NACRE_FLAGS_x86_64 -mtls-dialect=gnu2) # else the address of a thread's variable is asked of ld.so
set(NACRE_LINK_x86_64 -fuse-ld=lld)
set(NACRE_FLAGS_aarch64 --target=aarch64-linux-gnu -mno-outline-atomics)
set(NACRE_LINK_aarch64 --target=aarch64-linux-gnu -fuse-ld=lld)

set(NACRE_MACHINES ${CMAKE_SYSTEM_PROCESSOR})
foreach(machine x86_64 aarch64)
  if(machine STREQUAL CMAKE_SYSTEM_PROCESSOR OR NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    continue()
  endif()
  set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
  set(CMAKE_REQUIRED_FLAGS --target=${machine}-linux-gnu)
  check_cxx_source_compiles("
    #include <atomic>
    #include <new>
    #include <pthread.h>
    int f(std::atomic<int> &x) { return x.load(); }" NACRE_CAN_TARGET_${machine})
  unset(CMAKE_REQUIRED_FLAGS)
  unset(CMAKE_TRY_COMPILE_TARGET_TYPE)
  if(NACRE_CAN_TARGET_${machine})
    list(APPEND NACRE_MACHINES ${machine})
  endif()
endforeach()
