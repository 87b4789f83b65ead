// Draws open alerts in three parts. An alert keeps its element as long as it is open, wherever it moves.
import { keyed } from "/static/words.js";

const PARTS = {
  asking: "Nobody has answered",
  answered: "Somebody has answered",
  quiet: "Shelved, or told with another",
};

const URGENCY = ["high", "medium", "low"];

export default {
  mixins: [keyed],
  emits: ["answer"],
  props: { may_answer: Boolean, whole: Boolean },
  template: `
  <div>
    <div class="tools" v-if="whole">
      <label><input type="checkbox" v-model="sound"> Sound for high priority</label>
      <span v-if="sound && blocked" class="faint">Press any key or click once: the browser wants that before it makes a sound.</span>
      <span class="faint wide" v-if="may_answer">Keys, on an alert: <kbd>↑</kbd> <kbd>↓</kbd> to move, <kbd>a</kbd> to answer, <kbd>s</kbd> to shelve</span>
    </div>
    <p class="unseen" role="status" aria-live="polite">{{ news }}</p>
    <div @keydown="pressed" ref="list">
      <template v-for="item in items" :key="item.id">
        <h2 v-if="item.heading">{{ item.heading }}</h2>
        <p v-else-if="item.nothing" :class="whole ? 'empty' : 'faint'">{{ item.nothing }}</p>
        <article v-else :data-alert="item.id" :class="['alert-row', item.priority, { answered: item.part !== 'asking' }]" :aria-label="item.priority + ' priority: ' + item.title">
          <span :class="['priority', item.priority]"><span aria-hidden="true">{{ item.shape }}</span> {{ item.priority }}</span>
          <div>
            <a class="title" :href="'/alerts/' + item.id">{{ item.title }}</a>
            <p class="what">{{ item.what }}</p>
            <p class="faint">{{ item.facts.map(said).join(" · ") }}</p>
            <p v-if="item.answered" class="answer">answered by {{ item.answered.by }} {{ ago(item.answered.at) }}<template v-if="item.answered.note">: “{{ item.answered.note }}”</template></p>
          </div>
          <div class="buttons" v-if="may_answer">
            <button v-if="!item.answered" class="action" :aria-label="'Acknowledge ' + item.title" @click="answer('acknowledge', item)">Acknowledge</button>
            <button v-if="item.latched" class="action" :aria-label="'Reset ' + item.title" @click="answer('reset', item)">Reset</button>
            <button v-if="item.may_be_shelved && !item.shelved" class="quiet" :aria-label="'Shelve ' + item.title" @click="answer('shelve', item)">Shelve</button>
            <button v-if="item.shelved" class="quiet" :aria-label="'Unshelve ' + item.title" @click="answer('unshelve', item)">Unshelve</button>
          </div>
        </article>
      </template>
    </div>
  </div>`,
  data() {
    return { news: "", sound: localStorage.getItem("sound") === "on", blocked: false };
  },
  computed: {
    items() {
      if (!this.whole) return this.shown.length ? this.shown : [{ id: "none", nothing: "No alert is open." }];
      const found = [];
      for (const [part, heading] of Object.entries(PARTS)) {
        const rows = this.shown.filter((row) => row.part === part);
        if (rows.length || part === "asking") found.push({ id: part, heading: `${heading}: ${rows.length}` });
        if (!rows.length && part === "asking") found.push({ id: "none", nothing: "Nothing asks for an answer." });
        found.push(...rows);
      }
      return found;
    },
  },
  watch: {
    sound(on) {
      localStorage.setItem("sound", on ? "on" : "off");
      if (on) this.wake();
    },
    items: { handler: "count", immediate: true },
  },
  mounted() {
    this.allow = () => this.sound && this.wake();
    document.addEventListener("pointerdown", this.allow);
    document.addEventListener("keydown", this.allow);
    if (this.sound) this.wake();
  },
  unmounted() {
    document.removeEventListener("pointerdown", this.allow);
    document.removeEventListener("keydown", this.allow);
  },
  methods: {
    said(fact) {
      return fact.at === undefined ? fact.text : `${fact.text} ${this.ago(fact.at)}`;
    },
    answer(what, row) {
      this.$emit("answer", { what, id: row.id });
    },
    count() {
      if (!this.whole) return;
      const asking = this.shown.filter((row) => row.part === "asking").length;
      document.title = `${asking ? `(${asking}) ` : ""}Alerts · pumpwatch`;
    },
    // What is new, and what asks again: a shelf is over, it came back, it is more urgent.
    arrived(changed, before) {
      const asked = (was, row) => was?.part === "asking" && URGENCY.indexOf(was.priority) <= URGENCY.indexOf(row.priority);
      const asking = changed.filter((row) => row.part === "asking" && !asked(before.get(row.id), row));
      if (asking.length) {
        const how = (row) => (before.has(row.id) ? "Asks again" : "New alert");
        this.news = asking.length > 3 ? `${asking.length} alerts ask for an answer` : asking.map((row) => `${how(row)}, ${row.priority} priority: ${row.title}`).join(". ");
      }
      if (this.sound && asking.some((row) => row.priority === "high")) this.beep();
    },
    pressed(event) {
      const here = event.target.closest("article");
      if (!here || event.ctrlKey || event.metaKey || event.altKey) return;
      const all = [...this.$refs.list.querySelectorAll("article")];
      const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
      const wanted = { a: "button.action", s: "button.quiet" }[event.key];
      if (step) all[all.indexOf(here) + step]?.querySelector("a").focus();
      else if (wanted) here.querySelector(wanted)?.click();
      else return;
      event.preventDefault();
    },
    async wake() {
      this.audio ??= new AudioContext();
      this.audio.resume(); // not awaited: without a click of the visitor it never comes true
      setTimeout(() => { this.blocked = this.audio.state !== "running"; }, 200);
    },
    beep() {
      const tone = this.audio.createOscillator();
      const loud = this.audio.createGain();
      tone.frequency.value = 660;
      loud.gain.value = 0.2;
      tone.connect(loud).connect(this.audio.destination);
      tone.start();
      tone.stop(this.audio.currentTime + 0.35);
    },
  },
};
