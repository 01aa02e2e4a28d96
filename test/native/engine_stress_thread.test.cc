// sources: dsa/*.cc dsa/crc/*.cc dsa/operations/*.cc dsa/typed/*.cc engine/*.cc memory/*.cc registers/*.cc irq/*.cc base/*.cc
// sanitize: thread
#include "engine_stress.h"

// A guest may give two descriptors the same memory, and this one does: those races are its own. The functions named
// here touch nothing else that is shared.
extern "C" const char* __tsan_default_suppressions() {
  return "race:moveKernel\nrace:dualcastKernel\nrace:fillKernel\nrace:compareKernel\nrace:comparePatternKernel\n"
         "race:crcKernel\nrace:copyCrcKernel\nrace:takeSeed\n";
}

int main() { engine_test::stress(engine_test::stressSteps(3000)); }
