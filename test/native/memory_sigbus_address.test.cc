// sources: memory/*.cc base/fd_closer.cc
// sanitize: address,undefined
#include "memory_sigbus.h"

int main() { memory_test::testSigbus(60); }
