# cml_embed(TARGET NAMESPACE BASE FILES…)
#   compiles data files into TARGET, so that the product stays one binary. They are found by
#   NAMESPACE::Files() (base/embedded.h) under their path relative to BASE.
set(CML_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_DIR}/embed.py)
function(cml_embed TARGET NAMESPACE BASE)
  string(REPLACE "::" "_" stem ${NAMESPACE})
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${stem}_embedded.cc)
  add_custom_command(
    OUTPUT ${out}
    COMMAND Python3::Interpreter ${CML_EMBED_SCRIPT} --namespace ${NAMESPACE} --base ${BASE}
            --out ${out} ${ARGN}
    DEPENDS ${CML_EMBED_SCRIPT} ${ARGN}
    COMMENT "Embedding ${NAMESPACE}"
    VERBATIM)
  target_sources(${TARGET} PRIVATE ${out})
endfunction()
