// How the programs of the benchmark end when something is wrong: one line on standard error, exit code 1.
#pragma once

#include <stdio.h>
#include <stdlib.h>

#define FAIL(...)                 \
  do {                            \
    fprintf(stderr, "bench: ");   \
    fprintf(stderr, __VA_ARGS__); \
    fprintf(stderr, "\n");        \
    exit(1);                      \
  } while (0)

#define REQUIRE(condition, ...)          \
  do {                                   \
    if (!(condition)) FAIL(__VA_ARGS__); \
  } while (0)
