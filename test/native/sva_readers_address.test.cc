// sources: sva/*.cc memory/*.cc base/fd_closer.cc
// sanitize: address,undefined
#include "sva_readers.h"

int main() { sva_test::testPasidReaders(10000); }
