// Draws a page of the fleet. A pump keeps its row while its values change; sorting is asked of the server.
import { keyed } from "/static/words.js";

const WIDTH = 96;
const HEIGHT = 24;

// Shares of the program as a line, a hole where nothing came. From nothing at the bottom to twice the program at the top.
function drawn(shares) {
  let path = "";
  let open = false;
  shares.forEach((share, hour) => {
    if (share === null) {
      open = false;
      return;
    }
    const x = 2 + (hour / (shares.length - 1)) * (WIDTH - 4);
    const y = HEIGHT - 2 - (Math.min(Math.max(share, 0), 2) / 2) * (HEIGHT - 4);
    path += `${open ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    const alone = !open && (shares[hour + 1] ?? null) === null;
    if (alone) path += "h1.5";
    open = true;
  });
  return path;
}

export default {
  mixins: [keyed],
  emits: ["sort"],
  props: { columns: Array, sort: String },
  template: `
  <div class="scroll">
    <table class="fleet">
      <thead><tr>
        <th v-for="column in columns" :key="column.name" scope="col" :aria-sort="column.sort ? (column.sort === sorted ? 'ascending' : 'none') : null">
          <button v-if="column.sort" type="button" @click="by(column.sort)">{{ column.label }}<span aria-hidden="true">{{ column.sort === sorted ? " ▾" : "" }}</span></button>
          <template v-else>{{ column.label }}</template>
        </th>
      </tr></thead>
      <tbody>
        <tr v-for="row in shown" :key="row.id" :data-pump="row.pump" :class="{ unknown: row.unknown }">
          <th scope="row"><a :href="'/pumps/' + row.pump">{{ row.pump }}</a></th>
          <td data-label="Open alert">
            <template v-if="row.worst"><span :class="['priority', row.worst]"><span aria-hidden="true">{{ row.shape }}</span> {{ row.worst }}</span> {{ row.conditions }}<span v-if="row.answered" class="faint"> (answered)</span></template>
            <span v-else class="faint">none</span>
          </td>
          <td data-label="Site">{{ row.site }}</td>
          <td data-label="State" :class="{ 'state-unknown': row.unknown }">{{ row.state }}</td>
          <td data-label="Flow, 24 h" class="flow">
            <svg v-if="row.shares" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" :aria-label="'Flow of the last day; now ' + row.flow + ' of the program'"><path d="M0 ${HEIGHT / 2}H${WIDTH}" class="program" /><path :d="path(row.shares)" /></svg>
            <span>{{ row.flow }}</span>
          </td>
          <td data-label="Empty in" class="number">{{ row.empty }}</td>
          <td data-label="Battery" class="number">{{ row.battery }}</td>
          <td data-label="Last heard">{{ ago(row.heard) }}</td>
        </tr>
      </tbody>
    </table>
    <p v-if="!shown.length" class="empty">No pump is as chosen.</p>
  </div>`,
  data() {
    return { sorted: this.sort };
  },
  methods: {
    path: drawn,
    by(sort) {
      this.sorted = sort;
      this.$emit("sort", sort);
    },
  },
};
