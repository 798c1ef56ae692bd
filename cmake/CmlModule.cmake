# cml_module(NAME [SRCS…] [DEPS…] [LIBS…] [TESTS…] [TEST_LIBS…])
#   makes the library cml::NAME, and the program NAME_test when there are TESTS. A sub-folder of a
#   seam has a module of its own, named seam_folder (store_sqlite). DEPS are other modules, LIBS
#   imported targets of find_package(). No include_directories(), no global flags, no GLOB.
function(cml_module NAME)
  cmake_parse_arguments(PARSE_ARGV 1 M "" "" "SRCS;DEPS;LIBS;TESTS;TEST_LIBS")
  if(M_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "cml_module(${NAME}): what is ${M_UNPARSED_ARGUMENTS}?")
  endif()
  list(TRANSFORM M_DEPS PREPEND "cml::")
  list(TRANSFORM M_TEST_LIBS PREPEND "cml::")
  if(M_SRCS)
    add_library(cml_${NAME} STATIC ${M_SRCS})
    set(scope PUBLIC)
    target_link_libraries(cml_${NAME} PRIVATE cml_warnings)
  else()  # headers only: a seam
    add_library(cml_${NAME} INTERFACE)
    set(scope INTERFACE)
  endif()
  add_library(cml::${NAME} ALIAS cml_${NAME})
  target_compile_features(cml_${NAME} ${scope} cxx_std_20)
  target_include_directories(cml_${NAME} ${scope} ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(cml_${NAME} ${scope} ${M_DEPS} ${M_LIBS})
  if(M_TESTS AND BUILD_TESTING)
    add_executable(${NAME}_test ${M_TESTS})
    target_link_libraries(${NAME}_test PRIVATE cml::${NAME} ${M_TEST_LIBS} cml_warnings
                                               GTest::gmock_main)
    # PRE_TEST: the list of tests is read when ctest runs, so that a build never runs a program.
    set(timeout 60)
    if(CML_SANITIZE)  # several times slower; a test that hangs is still found
      set(timeout 240)
    endif()
    gtest_discover_tests(${NAME}_test DISCOVERY_MODE PRE_TEST
                         PROPERTIES LABELS unit TIMEOUT ${timeout})
  endif()
endfunction()
