// How long ago, in words: as service/web/words.py says it. In the browser, so that it grows by itself.
export function ago(at_ms, now_ms) {
  if (at_ms === null) return "never";
  const passed_s = Math.max((now_ms - at_ms) / 1000, 0);
  if (passed_s < 5) return "just now";
  const minutes = Math.round(passed_s / 60);
  if (minutes < 1) return `${passed_s.toFixed(0)} s ago`;
  if (minutes < 120) return `${minutes} min ago`;
  return minutes < 48 * 60 ? `${(minutes / 60).toFixed(0)} h ago` : `${(minutes / 1440).toFixed(0)} days ago`;
}

// Rows that stay what they are while others change: what somebody has under their finger is never made anew.
export const keyed = {
  props: { rows: Array, now_ms: Number },
  data() {
    return { shown: this.rows, ahead_ms: this.now_ms - Date.now(), now: this.now_ms };
  },
  mounted() {
    this.clock = setInterval(() => { this.now = Date.now() + this.ahead_ms; }, 5000);
  },
  unmounted() {
    clearInterval(this.clock);
  },
  methods: {
    // `order`: the ids of all rows, null where it has not changed. `changed`: those that are new or not as before.
    put(order, changed, now_ms) {
      const known = new Map(this.shown.map((row) => [row.id, row]));
      const before = new Map(known);
      for (const row of changed) known.set(row.id, row);
      this.shown = (order ?? this.shown.map((row) => row.id)).map((id) => known.get(id));
      this.ahead_ms = now_ms - Date.now();
      this.now = now_ms;
      this.arrived?.(changed, before);
    },
    ago(at_ms) {
      return ago(at_ms, this.now);
    },
  },
};
