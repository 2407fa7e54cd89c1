/* Sweeps of relaxation for Poisson's equation on a grid with a border of zeros.

   Arrays are (rows + 2) x (cols + 2); a line of points is one row, whose stencil is 2, -1, -1. */

#include <stdint.h>

typedef int64_t whole;

/* `u` and `next` change places after every sweep: the result is in `u` after an even number. */
void jacobi(double *restrict u, double *restrict next, const double *restrict b, whole rows,
            whole cols, whole dims, double omega, whole sweeps)
{
    const whole wide = cols + 2;
    const double keep = 1.0 - omega, take = omega / (2.0 * (double)dims);
    for (whole sweep = 0; sweep < sweeps; sweep++) {
        for (whole r = 1; r <= rows; r++) {
            const double *restrict at = u + r * wide, *restrict given = b + r * wide;
            double *restrict to = next + r * wide;
            if (dims == 1)
                for (whole c = 1; c <= cols; c++)
                    to[c] = keep * at[c] + take * (given[c] + (at[c - 1] + at[c + 1]));
            else
                for (whole c = 1; c <= cols; c++)
                    to[c] = keep * at[c] + take * (given[c] + ((at[c - 1] + at[c + 1])
                                                   + (at[c - wide] + at[c + wide])));
        }
        double *swap = u;
        u = next;
        next = swap;
    }
}

/* In place. `stride` 1: point after point; 2: first where row + column is even, then the others. */
void sor(double *u, const double *b, whole rows, whole cols, whole dims, double omega, whole sweeps,
         whole stride)
{
    const whole wide = cols + 2;
    const double keep = 1.0 - omega, take = omega / (2.0 * (double)dims);
    for (whole sweep = 0; sweep < sweeps; sweep++)
        for (whole colour = 0; colour < stride; colour++)
            for (whole r = 1; r <= rows; r++) {
                double *at = u + r * wide;
                const double *given = b + r * wide;
                whole first = stride == 1 ? 1 : 1 + (r + 1 + colour) % 2;
                for (whole c = first; c <= cols; c += stride) {
                    double around = at[c - 1] + at[c + 1];
                    if (dims == 2)
                        around += at[c - wide] + at[c + wide];
                    at[c] = keep * at[c] + take * (given[c] + around);
                }
            }
}
