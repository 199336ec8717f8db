# Writes OUTPUT: a header with the hash of SOURCES (a list with commas), the code
# generator's own. Kernels that another version has cached are not used.
string(REPLACE "," ";" sources "${SOURCES}")
set(hashes "")
foreach(source IN LISTS sources)
  file(SHA256 ${source} hash)
  string(APPEND hashes ${hash})
endforeach()
string(SHA256 hash "${hashes}")
string(SUBSTRING ${hash} 0 16 hash)
file(WRITE ${OUTPUT}
  "// Made by cmake/CompilerId.cmake.\n"
  "namespace nacre::codegen {\n"
  "/// Differs between versions of the code generator.\n"
  "inline constexpr char kCompilerId[] = \"nacre ${VERSION} ${hash}\";\n"
  "} // namespace nacre::codegen\n")
