#include "tensor/cpu/rowops_internal.h"
void FC_ROWOPS(attention)(fc_cpu *cpu)
{
    (void)cpu;
}
