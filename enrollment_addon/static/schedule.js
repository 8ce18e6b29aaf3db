/* The calendar: sessions of the visible days, filters and view in the address, moving after a question. */
(function () {
  "use strict";

  const place = document.getElementById("enr-calendar");
  if (!place || !window.FullCalendar) return;
  const texts = place.dataset;
  const dialog = document.getElementById("enr-move");
  const trouble = document.getElementById("enr-cal-trouble");
  const live = document.getElementById("enr-live");
  const narrow = window.matchMedia("(max-width: 640px)").matches;
  const names = { dayGridMonth: "month", timeGridWeek: "week", timeGridDay: "day", listWeek: "list" };
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const csrf = () => document.querySelector("meta[name=csrf-token]").content;
  /* Times are wall clock times of the session's club; the calendar carries them as if they were UTC. */
  const wall = (date) => date.toISOString().slice(0, 16);
  const format = new Intl.DateTimeFormat(document.documentElement.lang || "en",
    { timeZone: "UTC", weekday: "short", day: "numeric", month: "short", hour: "numeric", minute: "2-digit" });

  function complain(text) {
    trouble.textContent = text;
    trouble.hidden = !text;
  }

  function answerOf(answer) {
    return answer.json().catch(() => ({})).then((body) => {
      if (answer.ok) return body;
      const error = new Error(body.error ? body.error.message : document.getElementById("enr").dataset.labelOffline);
      error.code = body.error && body.error.code;
      throw error;
    });
  }

  function load(range, done, failed) {
    const url = new URL(texts.events, window.location.href);
    url.searchParams.set("start", range.startStr.slice(0, 10));
    url.searchParams.set("end", range.endStr.slice(0, 10));
    fetch(url, { headers: { Accept: "application/json" }, credentials: "same-origin" })
      .then(answerOf)
      .then((events) => { complain(""); done(events); wake(events); })
      .catch((error) => { complain(error.message); failed(error); });
  }

  /** Week and day begin at six, or at the hour of the first session that is earlier or goes past midnight. */
  function wake(events) {
    const hour = events.reduce((first, { start, end }) => {
      const overnight = end.slice(0, 10) > start.slice(0, 10) && end.slice(11, 16) !== "00:00";
      return Math.min(first, overnight ? 0 : Number(start.slice(11, 13)));
    }, 6);
    const begins = String(hour).padStart(2, "0") + ":00:00";
    if (calendar.getOption("slotMinTime") !== begins) calendar.setOption("slotMinTime", begins);
  }

  /** View, day and filters stay in the address, so that it can be kept, shared and come back to. */
  function remember(info) {
    const url = new URL(window.location.href);
    url.searchParams.set("view", names[info.view.type]);
    url.searchParams.set("date", calendar.getDate().toISOString().slice(0, 10));
    window.history.replaceState(null, "", url);
  }

  function ask(question, people) {
    document.getElementById("enr-move-text").textContent = question;
    document.getElementById("enr-move-people").textContent = people;
    dialog.returnValue = "";
    dialog.showModal();
    return new Promise((resolve) => {
      dialog.addEventListener("close", () => resolve(dialog.returnValue === "go"), { once: true });
    });
  }

  /* What the server wants a word about before it is done, and what that word is called. */
  const WORDS = { overlap: "confirm_overlap", credits_not_valid: "confirm_validity" };

  function send(event, confirmed) {
    const data = new FormData();
    data.set("starts_at", wall(event.start));
    data.set("ends_at", wall(event.end));
    confirmed.forEach((word) => data.set(word, "1"));
    return fetch(texts.move.replace(/0$/, event.id), {
      method: "POST", body: data, credentials: "same-origin", headers: { "X-CSRFToken": csrf() },
    }).then(answerOf);
  }

  /** Send it, asking again for as long as the server wants another word; null when the person thinks better of it. */
  function insist(event, confirmed, people) {
    return send(event, confirmed).catch((error) => {
      const word = WORDS[error.code];
      if (!word || confirmed.includes(word)) throw error;
      return ask(error.message, people).then((sure) => (sure ? insist(event, [...confirmed, word], people) : null));
    });
  }

  function moved(info) {
    const event = info.event;
    const said = event.extendedProps;
    const times = { name: said.name, old: format.format(info.oldEvent.start), new: format.format(event.start) };
    const people = said.booked + said.waiting ? fill(texts.people, said) : "";
    ask(fill(texts.question, times), people).then((go) => (go ? insist(event, [], people) : null)).then((answer) => {
      if (!answer) { info.revert(); return; }
      complain("");
      live.textContent = answer.text;
      calendar.refetchEvents();
    }).catch((error) => { info.revert(); complain(error.message); });
  }

  const calendar = new window.FullCalendar.Calendar(place, {
    locale: texts.locale || "en",
    direction: document.documentElement.dir || "ltr",
    timeZone: "UTC",
    initialView: texts.view || (narrow ? "listWeek" : "timeGridWeek"),
    initialDate: texts.day,
    headerToolbar: { start: "prev,today,next", center: "title", end: "dayGridMonth,timeGridWeek,timeGridDay,listWeek" },
    buttons: {
      today: { text: texts.today }, dayGridMonth: { text: texts.month }, timeGridWeek: { text: texts.week },
      timeGridDay: { text: texts.dayview }, listWeek: { text: texts.list },
    },
    height: "auto",  // nothing scrolls within the page, where no keyboard would reach it
    allDaySlot: false,
    slotMinTime: "06:00:00",
    dayMaxEvents: 4,
    eventMaxStack: 3,
    navLinks: true,
    nowIndicator: false,
    lazyFetching: false,
    eventDurationEditable: false,
    noEventsContent: texts.empty,
    noEventsClass: "enr-cal-none",
    eventTitleClass: "enr-cal-title",
    events: load,
    loading: (busy) => { place.setAttribute("aria-busy", busy); },
    datesSet: remember,
    eventDrop: moved,
    eventDidMount: (info) => {
      info.el.title = info.event.title + " · " + info.event.extendedProps.about;
      if (info.event.extendedProps.off) info.el.classList.add("enr-cal-off");
    },
  });
  calendar.render();
})();
