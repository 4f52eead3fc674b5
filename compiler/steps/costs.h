/* costs.h - what things cost one core of a target: the members are the rows of costs.def. */
#ifndef COSTS_H
#define COSTS_H

struct costs {
#define COST(name, value, what) double name;
#include "steps/costs.def"
#undef COST
};

#endif
