/* Loops that NumPy would need many passes for; kernels.py and places.py have the same in NumPy and say what each does.

   Planes are rows of 32-bit floats without gaps, h by w. Nothing is kept from one call to the next, so that threads may
   call at once. Sums are in one order and never contracted (-ffp-contract=off), so that every processor gives the same.
*/

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EVERY_PROCESSOR __attribute__((target_clones("avx2", "default"))) /* the fitting one is chosen when loaded */
#else
#define FOR_EVERY_PROCESSOR
#endif

/* For parts of those: on its own, such a part would be compiled for the least processor. */
#define INLINED __attribute__((always_inline)) static inline

/* Which source this was compiled from: kernels.py takes no other. */
const char *vtid_source(void) { return SOURCE; }

/* --- diffuse -------------------------------------------------------------------------------------------------------*/

/* A structure tensor's parts to how freely values flow, in place. */
FOR_EVERY_PROCESSOR
void vtid_edges(float *xx, float *xy, float *yy, int count, float contrast) {
  const float scale = 1 / (2 * contrast * contrast);
  for (int i = 0; i < count; i++) {
    float apart = xx[i] - yy[i], cross = xy[i];
    float length = sqrtf(apart * apart + 4 * cross * cross) + 1e-9f;
    float less = 1 / sqrtf(1 + (xx[i] + yy[i] + length) * scale) - 1;
    float turn = apart / length;
    xx[i] = 1 + less * (1 + turn) / 2;
    xy[i] = less * cross / length;
    yy[i] = 1 + less * (1 - turn) / 2;
  }
}

/* What flows diagonally: the gradient (Sobel) to the right and down, each times `both`. */
FOR_EVERY_PROCESSOR
static void crossing(const float *restrict in, const float *restrict both, float *restrict gx, float *restrict gy,
                     int h, int w) {
  for (int y = 0; y < h; y++) {
    const float *here = in + (size_t)y * w, *factor = both + (size_t)y * w;
    const float *above = y ? here - w : here + w, *below = y < h - 1 ? here + w : here - w; /* mirrored at the edge */
    float *right = gx + (size_t)y * w, *down = gy + (size_t)y * w;
    for (int x = 1; x < w - 1; x++) {
      float rise = (above[x + 1] - above[x - 1]) + 2 * (here[x + 1] - here[x - 1]) + (below[x + 1] - below[x - 1]);
      float fall = (below[x - 1] - above[x - 1]) + 2 * (below[x] - above[x]) + (below[x + 1] - above[x + 1]);
      right[x] = rise * factor[x] * 0.0625f;
      down[x] = fall * factor[x] * 0.0625f;
    }
    right[0] = right[w - 1] = 0; /* and so nothing crosses the sides */
    down[0] = (below[0] - above[0] + below[1] - above[1]) * factor[0] * 0.125f;
    down[w - 1] = (below[w - 1] - above[w - 1] + below[w - 2] - above[w - 2]) * factor[w - 1] * 0.125f;
  }
}

/* Each pixel and what flows in from its four neighbours; from one that is not there, nothing does. */
FOR_EVERY_PROCESSOR
static void diffuse_once(const float *restrict in, float *restrict out, const float *restrict across,
                         const float *restrict down, const float *restrict free, const float *restrict gx,
                         const float *restrict gy, int h, int w, float pace) {
  for (int y = 0; y < h; y++) {
    size_t row = (size_t)y * w, up = y ? row - w : row, low = y < h - 1 ? row + w : row;
    const float *here = in + row, *above = in + up, *below = in + low, *share = free + row;
    const float *freely = across + row, *falls = down + row, *falls_above = down + up, *falls_below = down + low;
    const float *crossed = gy + row, *crossed_above = gx + (y ? up : low), *crossed_below = gx + (y < h - 1 ? low : up);
    float *to = out + row;
    for (int x = 1; x < w - 1; x++) {
      float sum = (here[x + 1] - here[x]) * (freely[x + 1] + freely[x]);
      sum += (here[x - 1] - here[x]) * (freely[x - 1] + freely[x]);
      sum += (below[x] - here[x]) * (falls_below[x] + falls[x]);
      sum += (above[x] - here[x]) * (falls_above[x] + falls[x]);
      sum = sum * 0.5f + ((crossed[x + 1] - crossed[x - 1]) + (crossed_below[x] - crossed_above[x]));
      to[x] = here[x] + sum * share[x] * pace;
    }
    for (int side = 0; side < 2; side++) {
      int x = side ? w - 1 : 0, inner = side ? w - 2 : 1;
      float sum = (here[inner] - here[x]) * (freely[inner] + freely[x]);
      sum += (below[x] - here[x]) * (falls_below[x] + falls[x]);
      sum += (above[x] - here[x]) * (falls_above[x] + falls[x]);
      to[x] = here[x] + sum * 0.5f * share[x] * pace;
    }
  }
}

/* Steps of these paces, in place; `spare` holds three planes. Sides are at least 2. */
void vtid_diffuse(float *plane, const float *across, const float *both, const float *down, const float *free, int h,
                  int w, const float *paces, int steps, float *spare) {
  size_t size = (size_t)h * w;
  float *gx = spare, *gy = spare + size, *in = plane, *out = spare + 2 * size;
  for (int i = 0; i < steps; i++) {
    crossing(in, both, gx, gy, h, w);
    diffuse_once(in, out, across, down, free, gx, gy, h, w, paces[i]);
    float *swapped = in;
    in = out;
    out = swapped;
  }
  if (in != plane) memcpy(plane, in, size * sizeof(float));
}

/* --- follow --------------------------------------------------------------------------------------------------------*/

/* One frame on; `row`, `frames`, `rights` and `downs` may be null. */
FOR_EVERY_PROCESSOR
void vtid_step(int count, const int16_t *columns, const int16_t *lines, const int16_t *flow_x, const int16_t *flow_y,
               float unit, const uint8_t *avoid, int h, int w, int number, const int32_t *row, const int32_t *frames,
               const float *rights, const float *downs, int oldest, int newest, int32_t *frame, float *xs, float *ys) {
  for (int i = 0; i < count; i++) {
    float x = columns[i] + flow_x[i] * unit, y = lines[i] + flow_y[i] * unit;
    int source = -1;
    if (x >= 0 && x <= w - 1 && y >= 0 && y <= h - 1) {
      size_t nearest = (size_t)lrintf(y) * w + (size_t)lrintf(x);
      if (!avoid[nearest]) {
        source = number;
      } else if (row) {
        int32_t there = row[nearest];
        source = frames[there];
        x += rights[there];
        y += downs[there];
      }
      if (!(source >= oldest && source <= newest && x >= 0 && x <= w - 1.01f && y >= 0 && y <= h - 1.01f)) source = -1;
    }
    frame[i] = source;
    xs[i] = x;
    ys[i] = y;
  }
}

/* --- sources -------------------------------------------------------------------------------------------------------*/

/* What is left of a frame's crop: Y, U and V interleaved, and what lies under a text; pixels count from its old corner. */
struct crop {
  const void *pixels;
  const uint8_t *under;
  int32_t width, height, left, top;
  int32_t sixteen; /* bits, of which 8 are fraction */
};

static inline float value(const struct crop *crop, size_t at) {
  return crop->sixteen ? ((const uint16_t *)crop->pixels)[at] * (1.0f / 256) : ((const uint8_t *)crop->pixels)[at];
}

static inline int within(int at, int size) { return at < 0 ? 0 : at >= size ? size - 1 : at; }

/* Whether each source lies under a text of its frame, or no longer in the crop. */
void vtid_covered(int count, const int32_t *frames, int first, const float *xs, const float *ys,
                  const struct crop *crops, uint8_t *out) {
  for (int i = 0; i < count; i++) {
    out[i] = 1;
    if (frames[i] < 0) continue;
    const struct crop *crop = &crops[frames[i] - first];
    long x = lrintf(xs[i]) - crop->left, y = lrintf(ys[i]) - crop->top;
    int inside = x >= 0 && y >= 0 && x < crop->width && y < crop->height;
    out[i] = !inside || crop->under[(size_t)y * crop->width + x];
  }
}

/* The luma of each source, bilinear. */
FOR_EVERY_PROCESSOR
void vtid_luma(int count, const int32_t *frames, int first, const float *xs, const float *ys, const struct crop *crops,
               float *out) {
  for (int i = 0; i < count; i++) {
    if (frames[i] < 0) continue;
    const struct crop *crop = &crops[frames[i] - first];
    float x = xs[i] - crop->left, y = ys[i] - crop->top, left = floorf(x), top = floorf(y);
    size_t x0 = within((int)left, crop->width), x1 = within((int)left + 1, crop->width);
    size_t y0 = (size_t)within((int)top, crop->height) * crop->width;
    size_t y1 = (size_t)within((int)top + 1, crop->height) * crop->width;
    float upper = value(crop, 3 * (y0 + x0)), lower = value(crop, 3 * (y1 + x0));
    upper += (value(crop, 3 * (y0 + x1)) - upper) * (x - left);
    lower += (value(crop, 3 * (y1 + x1)) - lower) * (x - left);
    out[i] = upper + (lower - upper) * (y - top);
  }
}

/* Keys' cubic (1981), with the -0.75 that OpenCV has for it. */
static inline void cubic(float at, float *weights) {
  const float a = -0.75f;
  float from = at + 1, to = 1 - at;
  weights[0] = ((a * from - 5 * a) * from + 8 * a) * from - 4 * a;
  weights[1] = ((a + 2) * at - (a + 3)) * at * at + 1;
  weights[2] = ((a + 2) * to - (a + 3)) * to * to + 1;
  weights[3] = 1 - weights[0] - weights[1] - weights[2];
}

/* Vectors, which GCC and Clang write as the processor has them. Left to themselves they take numbers one by one. */
typedef float eight __attribute__((vector_size(32)));
typedef float four __attribute__((vector_size(16)));
typedef int32_t whole_eight __attribute__((vector_size(32)));
typedef int32_t whole_four __attribute__((vector_size(16)));
typedef uint16_t short_eight __attribute__((vector_size(16)));
typedef uint16_t short_four __attribute__((vector_size(8)));

/* Numbers of each type as floats, in small steps: GCC 12 takes large ones apart. */
#define AS(TYPE, VECTOR) __builtin_convertvector(VECTOR, TYPE)
#define FROM_uint8_t(SIZE, VECTOR) AS(SIZE, AS(whole_##SIZE, AS(short_##SIZE, VECTOR)))
#define FROM_uint16_t(SIZE, VECTOR) AS(SIZE, AS(whole_##SIZE, VECTOR))
#define FROM_float(SIZE, VECTOR) (VECTOR)

/* Y, U and V of each source, bicubic: three rows. Where four pixels lie beside each other, their twelve numbers are taken
   at once; at the edges, pixels are repeated. */
#define VALUES(TYPE, SCALE)                                                                                            \
  INLINED void values_of_##TYPE(const struct crop *crop, int left, int top, const float *across, const float *down,    \
                                float *sum) {                                                                          \
    typedef TYPE as_eight __attribute__((vector_size(8 * sizeof(TYPE))));                                              \
    typedef TYPE as_four __attribute__((vector_size(4 * sizeof(TYPE))));                                               \
    eight first = {0};                                                                                                 \
    four last = {0};                                                                                                   \
    int beside = left > 0 && left + 2 < crop->width;                                                                   \
    for (int j = 0; j < 4; j++) {                                                                                      \
      const TYPE *row = (const TYPE *)crop->pixels + 3 * (size_t)within(top + j - 1, crop->height) * crop->width;      \
      float weight = down[j] * (SCALE);                                                                                \
      TYPE edge[12];                                                                                                   \
      const TYPE *pixels = row + 3 * (left - 1);                                                                       \
      if (!beside) {                                                                                                   \
        for (int k = 0; k < 4; k++)                                                                                    \
          memcpy(edge + 3 * k, row + 3 * (size_t)within(left + k - 1, crop->width), 3 * sizeof(TYPE));                 \
        pixels = edge;                                                                                                 \
      }                                                                                                                \
      as_eight begin;                                                                                                  \
      as_four end;                                                                                                     \
      memcpy(&begin, pixels, sizeof(begin));                                                                           \
      memcpy(&end, pixels + 8, sizeof(end));                                                                           \
      first += FROM_##TYPE(eight, begin) * weight;                                                                     \
      last += FROM_##TYPE(four, end) * weight;                                                                         \
    }                                                                                                                  \
    for (int k = 0; k < 3; k++)                                                                                        \
      sum[k] = first[k] * across[0] + first[3 + k] * across[1] + (k < 2 ? first[6 + k] : last[0]) * across[2] +        \
               last[1 + k] * across[3];                                                                                \
  }

VALUES(uint8_t, 1.0f)
VALUES(uint16_t, 1.0f / 256)
VALUES(float, 1.0f)

FOR_EVERY_PROCESSOR
void vtid_values(int count, const int32_t *frames, int first, const float *xs, const float *ys,
                 const struct crop *crops, float *out) {
  for (int i = 0; i < count; i++) {
    if (frames[i] < 0) continue;
    const struct crop *crop = &crops[frames[i] - first];
    float x = xs[i] - crop->left, y = ys[i] - crop->top;
    int left = (int)floorf(x), top = (int)floorf(y);
    float across[4], down[4], sum[3];
    cubic(x - left, across);
    cubic(y - top, down);
    if (crop->sixteen)
      values_of_uint16_t(crop, left, top, across, down, sum);
    else
      values_of_uint8_t(crop, left, top, across, down, sum);
    for (int k = 0; k < 3; k++) out[(size_t)k * count + i] = sum[k] < 0 ? 0 : sum[k] > 255 ? 255 : sum[k];
  }
}

/* --- fuse ----------------------------------------------------------------------------------------------------------*/

/* N pixels of a plane, line by line, and how it is made smaller; what each column and line is there, as tables. */
struct places {
  const int16_t *columns, *lines; /* of a crop, in which the plane's corner lies at left, top */
  const int32_t *block_x, *block_y; /* which block it lies in */
  const int32_t *before_x, *before_y; /* after which small pixel it lies, … */
  const float *between_x, *between_y; /* … and how far from that to the next */
  int32_t count, left, top, width, height, small_width, small_height;
  float block; /* one over the pixels of a block */
};

static inline size_t place(const struct places *site, int i) {
  return (size_t)(site->lines[i] - site->top) * site->width + (site->columns[i] - site->left);
}

static inline size_t block(const struct places *site, int i) {
  return (size_t)site->block_y[site->lines[i] - site->top] * site->small_width +
         site->block_x[site->columns[i] - site->left];
}

/* Rows of small planes between which a pixel lies, blended: they are when a line begins. */
struct rows {
  int line;
  float *values; /* planes by small width */
};

static inline void blend(const struct places *site, int planes, const float *small, struct rows *rows, int i) {
  if (rows->line == site->lines[i]) return;
  rows->line = site->lines[i];
  int y = rows->line - site->top, w = site->small_width;
  float share = site->between_y[y];
  for (int k = 0; k < planes; k++) {
    const float *upper = small + ((size_t)k * site->small_height + site->before_y[y]) * w;
    const float *lower = site->before_y[y] + 1 < site->small_height ? upper + w : upper;
    float *out = rows->values + (size_t)k * w;
    for (int x = 0; x < w; x++) out[x] = upper[x] + (lower[x] - upper[x]) * share;
  }
}

/* What a blended row has at a pixel; tables end one before the last, so that there is a next. */
static inline float looked_up(const struct places *site, const float *row, int i) {
  int x = site->columns[i] - site->left, before = site->before_x[x];
  return row[before] + (row[before + 1] - row[before]) * site->between_x[x];
}

/* Means over blocks of rows of numbers where `which`, and of ones. */
void vtid_means(const struct places *site, const uint8_t *which, int rows, const float *values, float *sums) {
  size_t size = (size_t)site->small_width * site->small_height;
  memset(sums, 0, (rows + 1) * size * sizeof(float));
  for (int i = 0; i < site->count; i++) {
    if (!which[i]) continue;
    size_t to = block(site, i);
    for (int k = 0; k < rows; k++) sums[k * size + to] += values[(size_t)k * site->count + i];
    sums[rows * size + to] += 1;
  }
  for (size_t i = 0; i < (rows + 1) * size; i++) sums[i] *= site->block;
}

/* Planes made smaller, at the pixels; `spare` holds a row of each. */
FOR_EVERY_PROCESSOR
void vtid_enlarged(const struct places *site, int planes, const float *small, float *spare, float *out) {
  struct rows rows = {-1, spare};
  for (int i = 0; i < site->count; i++) {
    blend(site, planes, small, &rows, i);
    for (int k = 0; k < planes; k++)
      out[(size_t)k * site->count + i] = looked_up(site, spare + (size_t)k * site->small_width, i);
  }
}

/* By how much three planes differ from three rows of numbers, and ones: means over blocks, where `which`. */
void vtid_differences(const struct places *site, const uint8_t *which, const float *planes, const float *values,
                      float *sums) {
  size_t size = (size_t)site->small_width * site->small_height, whole = (size_t)site->width * site->height;
  memset(sums, 0, 4 * size * sizeof(float));
  for (int i = 0; i < site->count; i++) {
    if (!which[i]) continue;
    size_t from = place(site, i), to = block(site, i);
    for (int k = 0; k < 3; k++) sums[k * size + to] += planes[k * whole + from] - values[(size_t)k * site->count + i];
    sums[3 * size + to] += 1;
  }
  for (size_t i = 0; i < 4 * size; i++) sums[i] *= site->block;
}

/* Three rows corrected by three small planes, in place; what is left of the differences where `which`, squared: means. */
FOR_EVERY_PROCESSOR
void vtid_corrected(const struct places *site, const uint8_t *which, const float *planes, const float *small,
                    float *spare, float *values, float *squares) {
  size_t size = (size_t)site->small_width * site->small_height, whole = (size_t)site->width * site->height;
  struct rows rows = {-1, spare};
  memset(squares, 0, size * sizeof(float));
  for (int i = 0; i < site->count; i++) {
    blend(site, 3, small, &rows, i);
    float now[3];
    for (int k = 0; k < 3; k++) {
      float *value = values + (size_t)k * site->count + i;
      now[k] = *value += looked_up(site, spare + (size_t)k * site->small_width, i);
    }
    if (!which[i]) continue;
    size_t at = place(site, i);
    float sum = 0;
    for (int k = 0; k < 3; k++) sum += (planes[k * whole + at] - now[k]) * (planes[k * whole + at] - now[k]);
    squares[block(site, i)] += sum;
  }
  for (size_t i = 0; i < size; i++) squares[i] *= site->block / 3;
}

/* Three rows times a weight added to three rows of totals, and the weight to the fourth. */
FOR_EVERY_PROCESSOR
void vtid_weigh(const struct places *site, const uint8_t *which, const float *small, const int32_t *ages,
                const float *aged, const float *values, float *spare, float *totals) {
  size_t count = site->count;
  struct rows rows = {-1, spare};
  for (size_t i = 0; i < count; i++) {
    if (!which[i]) continue;
    blend(site, 1, small, &rows, (int)i);
    float weight = looked_up(site, spare, (int)i) * aged[ages[i]];
    for (int k = 0; k < 3; k++) totals[k * count + i] += values[k * count + i] * weight;
    totals[3 * count + i] += weight;
  }
}

/* By how much another picture (h by w by 3, its corner at left, top of the crop) differs from this one where the flow leads
   to, at pixels `which` it is in reach of; the mean square of that as a plane, and ones: both come as zeros. */
FOR_EVERY_PROCESSOR
void vtid_moved(const struct places *site, uint8_t *which, const int16_t *flow_x, const int16_t *flow_y, float unit,
                float still, const struct crop *other, const float *picture, float *off, float *squares, float *ones) {
  for (int i = 0; i < site->count; i++) {
    if (!which[i]) continue;
    float right = flow_x[i] * unit, down = flow_y[i] * unit;
    float x = site->columns[i] + (fabsf(right) < still ? 0 : right) - other->left;
    float y = site->lines[i] + (fabsf(down) < still ? 0 : down) - other->top;
    which[i] = x >= 0 && x <= other->width - 1 && y >= 0 && y <= other->height - 1;
    if (!which[i]) continue;
    int left = (int)floorf(x), top = (int)floorf(y);
    float across[4], below[4], sum[3], square = 0;
    cubic(x - left, across);
    cubic(y - top, below);
    values_of_float(other, left, top, across, below, sum);
    size_t at = place(site, i);
    for (int k = 0; k < 3; k++) {
      float apart = sum[k] - picture[3 * at + k];
      off[3 * (size_t)i + k] = apart;
      square += apart * apart;
    }
    squares[at] = square / 3;
    ones[at] = 1;
  }
}

/* So much of that added to the picture, in place, the less the more both differ around it. */
FOR_EVERY_PROCESSOR
void vtid_drawn(const struct places *site, const uint8_t *which, const float *off, const float *squares,
                const float *ones, float share, float noise, float *picture) {
  for (int i = 0; i < site->count; i++) {
    if (!which[i]) continue;
    size_t at = place(site, i);
    float part = share * expf(squares[at] / ones[at] * -(1 / noise));
    for (int k = 0; k < 3; k++) picture[3 * at + k] += off[3 * (size_t)i + k] * part;
  }
}

/* Weighted sums for one step of Lucas and Kanade: means over blocks, of weight, xx, xy, yy, x·off and y·off. */
FOR_EVERY_PROCESSOR
void vtid_normal_equations(const float *picture, const float *off, const float *ring, int h, int w, float typical,
                           int shrunk, int small_h, int small_w, float *sums, float *spare) {
  size_t size = (size_t)small_h * small_w;
  float *weights = spare, *gx = spare + w, *gy = spare + 2 * (size_t)w;
  memset(sums, 0, 6 * size * sizeof(float));
  for (int y = 0; y < h; y++) {
    const float *here = picture + (size_t)y * w;
    const float *above = y ? here - w : here + (h > 1 ? w : 0), *below = y < h - 1 ? here + w : here - (h > 1 ? w : 0);
    const float *away = off + (size_t)y * w, *known = ring + (size_t)y * w;
    for (int x = 0; x < w; x++) {
      float share = away[x] * typical;
      weights[x] = known[x] / (1 + share * share);
    }
    for (int x = 1; x < w - 1; x++) {
      gx[x] = ((above[x + 1] - above[x - 1]) + 2 * (here[x + 1] - here[x - 1]) + (below[x + 1] - below[x - 1])) * 0.125f;
      gy[x] = ((below[x - 1] - above[x - 1]) + 2 * (below[x] - above[x]) + (below[x + 1] - above[x + 1])) * 0.125f;
    }
    gx[0] = gx[w - 1] = gy[0] = gy[w - 1] = 0; /* the ring does not reach there */
    int block_y = y / shrunk < small_h ? y / shrunk : small_h - 1;
    float *out = sums + (size_t)block_y * small_w;
    for (int x = 0; x < w; x++) {
      if (weights[x] == 0) continue;
      int block = x / shrunk < small_w ? x / shrunk : small_w - 1;
      float wx = weights[x] * gx[x], wy = weights[x] * gy[x];
      out[block] += weights[x];
      out[block + size] += wx * gx[x];
      out[block + 2 * size] += wx * gy[x];
      out[block + 3 * size] += wy * gy[x];
      out[block + 4 * size] += wx * away[x];
      out[block + 5 * size] += wy * away[x];
    }
  }
  float scale = 1.0f / (shrunk * shrunk);
  for (size_t i = 0; i < 6 * size; i++) sums[i] *= scale;
}
