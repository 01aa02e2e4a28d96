// sources: memory/*.cc base/fd_closer.cc
// sanitize: address,undefined
#include "memory_readers.h"

int main() { memory_test::testReaders(100000); }
