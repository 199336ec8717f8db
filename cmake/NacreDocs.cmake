# Target nacre-docs: reference pages of the dialects and passes, made from ODS
# into build/<preset>/docs. They are not kept in git.

set(docs_dir ${PROJECT_BINARY_DIR}/docs)
set(docs_pages)
list(TRANSFORM MLIR_INCLUDE_DIRS PREPEND -I OUTPUT_VARIABLE docs_includes)

# nacre_doc_page(PAGE TD GENERATOR...): docs/PAGE.md out of the TableGen file TD.
macro(nacre_doc_page page td)
  add_custom_command(
    OUTPUT ${docs_dir}/${page}.md
    COMMAND ${CMAKE_COMMAND} -E make_directory ${docs_dir}
    COMMAND ${MLIR_TABLEGEN_EXE} ${ARGN} ${PROJECT_SOURCE_DIR}/${td} -I${PROJECT_SOURCE_DIR}
            ${docs_includes} -o ${docs_dir}/${page}.md
    DEPENDS ${PROJECT_SOURCE_DIR}/${td} nacre-tablegen
    COMMENT "Writing docs/${page}.md")
  list(APPEND docs_pages ${docs_dir}/${page}.md)
endmacro()

nacre_doc_page(dialect-nn dialects/nn/NNOps.td -gen-dialect-doc -dialect=nn)
nacre_doc_page(dialect-kern dialects/kern/KernOps.td -gen-dialect-doc -dialect=kern)
nacre_doc_page(dialect-rt dialects/rt/RtOps.td -gen-dialect-doc -dialect=rt)
nacre_doc_page(interfaces-nn dialects/nn/NNInterfaces.td -gen-op-interface-docs)
foreach(phase graph lower tile buffer codegen)
  nacre_doc_page(passes-${phase} compiler/${phase}/Passes.td -gen-pass-doc)
endforeach()
add_custom_target(nacre-docs DEPENDS ${docs_pages})
