// sources: dsa/*.cc dsa/crc/*.cc dsa/operations/*.cc dsa/typed/*.cc engine/*.cc memory/*.cc registers/*.cc irq/*.cc base/*.cc
// sanitize: address,undefined
#include "engine_stress.h"

int main() { engine_test::stress(engine_test::stressSteps(20000)); }
