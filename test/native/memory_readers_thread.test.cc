// sources: memory/*.cc base/fd_closer.cc
// sanitize: thread
#include "memory_readers.h"

int main() { memory_test::testReaders(40000); }
