// sources: dsa/*.cc dsa/crc/*.cc dsa/operations/*.cc dsa/typed/*.cc engine/*.cc memory/*.cc registers/*.cc irq/*.cc base/*.cc
// sanitize: thread
#include "engine_suspend.h"

int main() { engine_test::suspendRuns(2); }
