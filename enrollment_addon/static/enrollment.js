/* Behaviour of the add-on's pages. Plain script, no build, works under a strict Content-Security-Policy.
   Texts come from data- attributes of the templates, so that they are translated with everything else. */
(function () {
  "use strict";

  const root = document.documentElement;
  const page = document.getElementById("enr");
  if (!page) return;
  const all = (selector, within) => Array.from((within || document).querySelectorAll(selector));
  const one = (selector, within) => (within || document).querySelector(selector);
  const number = new Intl.NumberFormat(root.lang || "en");
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const csrf = () => one("meta[name=csrf-token]").content;

  /** Tell a screen reader, politely; the same text twice is still two messages. */
  function say(text) {
    const live = document.getElementById("enr-live");
    live.textContent = "";
    window.setTimeout(() => { live.textContent = text; }, 50);
  }

  /* ---- The host's navigation bar: names, roles and reachability that it lacks ---- */
  function mendNavigation() {
    all("header[role=header]").forEach((header) => header.removeAttribute("role"));
    all(".navbar [tabindex='-1']").forEach((link) => {
      if (!link.closest(".dropdown-menu")) link.removeAttribute("tabindex");
    });
    all(".navbar-toggle").forEach((button) => button.setAttribute("aria-label", page.dataset.labelMenu));
    all(".navbar [data-toggle=dropdown]").forEach((link) => {
      link.setAttribute("role", "button");
      link.setAttribute("aria-haspopup", "true");
      if (!link.hasAttribute("aria-expanded")) link.setAttribute("aria-expanded", "false");
      if (one(".flag", link)) link.setAttribute("aria-label", page.dataset.labelLanguage);
    });
    all(".navbar-collapse").forEach((part) => {
      new MutationObserver(() => part.removeAttribute("aria-expanded"))
        .observe(part, { attributeFilter: ["aria-expanded"] });
    });
    all(".navbar-brand img:not([alt])").forEach((image) => { image.alt = page.dataset.labelHome; });
    all(".modal[role=dialog]:not([aria-label])").forEach((modal) => modal.setAttribute("aria-hidden", "true"));
  }

  /* ---- Notices, menus, dialogs ---- */
  function wireNotices() {
    document.addEventListener("click", (event) => {
      const button = event.target.closest("[data-enr-dismiss]");
      if (!button) return;
      button.parentElement.remove();
      page.focus();
    });
    const first = one("[data-enr-focus]");
    if (first) first.focus();
    all(".enr-summary a").forEach((link) => link.addEventListener("click", (event) => {
      const field = document.getElementById(link.hash.slice(1));
      if (!field) return;
      event.preventDefault();
      const closed = field.closest("details:not([open])");
      if (closed) closed.open = true;
      const control = field.matches("fieldset") ? one("input", field) : field;
      if (control.tomselect) control.tomselect.focus();
      else control.focus();
    }));
  }

  function wireMenus() {
    const close = (menu, focus) => {
      menu.open = false;
      if (focus) one("summary", menu).focus();
    };
    document.addEventListener("click", (event) => {
      all(".enr-menu[open]").forEach((menu) => { if (!menu.contains(event.target)) close(menu); });
    });
    document.addEventListener("keydown", (event) => {
      const menu = event.target.closest && event.target.closest(".enr-menu[open]");
      if (!menu) return;
      if (event.key === "Escape") close(menu, true);
      if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
      event.preventDefault();
      const items = all("li > *", menu).filter((item) => item.offsetParent);
      const step = event.key === "ArrowDown" ? 1 : -1;
      const at = items.indexOf(document.activeElement);
      items[at < 0 && step < 0 ? items.length - 1 : (at + step + items.length) % items.length].focus();
    });
    all(".enr-menu").forEach((menu) => menu.addEventListener("focusout", (event) => {
      if (event.relatedTarget && !menu.contains(event.relatedTarget)) close(menu);
    }));
  }

  function wireDialogs() {
    document.addEventListener("click", (event) => {
      const opener = event.target.closest("[data-enr-open]");
      if (opener) document.getElementById(opener.dataset.enrOpen).showModal();
      const closer = event.target.closest("[data-enr-close]");
      if (closer) closer.closest("dialog").close();
    });
  }

  /** A verb that asks first: the dialog repeats the verb on its button, then the form is sent. */
  function wireConfirmations() {
    const dialog = document.getElementById("enr-confirm");
    const go = one("[value=go]", dialog);
    let asked = null;
    document.addEventListener("click", (event) => {
      const button = event.target.closest("[data-enr-confirm]");
      if (!button || button === asked) return;
      event.preventDefault();
      asked = button;
      one("#enr-confirm-text", dialog).textContent = button.dataset.enrConfirm;
      go.textContent = button.textContent.trim();
      go.classList.toggle("destroy", button.classList.contains("danger"));
      dialog.returnValue = "";
      dialog.showModal();
    });
    dialog.addEventListener("close", () => {
      const button = asked;
      if (dialog.returnValue === "go") button.click();
      else (button.closest(".enr-menu") ? one("summary", button.closest(".enr-menu")) : button).focus();
      asked = null;
    });
  }

  /* ---- Forms ---- */
  /** A second click or Enter while the first request is on its way sends nothing. */
  function wireSubmitOnce() {
    const mark = (form, sent) => {
      form.toggleAttribute("data-enr-sent", sent);
      all("button:not([type=button])", form).forEach((button) => {
        if (sent) button.setAttribute("aria-disabled", "true");
        else button.removeAttribute("aria-disabled");
      });
    };
    document.addEventListener("submit", (event) => {
      const form = event.target;
      if (form.method !== "post" || event.defaultPrevented) return;
      if (form.hasAttribute("data-enr-sent")) event.preventDefault();
      else mark(form, true);
    });
    window.addEventListener("pageshow", () => all("form[data-enr-sent]").forEach((form) => mark(form, false)));
  }

  /** `data-enr-show="name=value"` (or `!=`), at a field or around some: what does not apply is not shown. */
  function wireConditions() {
    const places = all("[data-enr-show]");
    if (!places.length) return;
    const apply = () => places.forEach((place) => {
      const [, name, not, wanted] = place.dataset.enrShow.match(/^(.+?)(!?)=(.*)$/);
      const controls = all(`[name="${CSS.escape(name)}"]`, place.closest("form"));
      const chosen = controls.find((control) => control.type !== "radio" || control.checked);
      (place.closest(".enr-field") || place).hidden = Boolean(chosen && chosen.value === wanted) === Boolean(not);
    });
    document.addEventListener("change", apply);
    apply();
  }

  function wireAjaxSelects() {
    all("select[data-enr-ajax]").forEach((select) => {
      const url = (query, at) => {
        const target = new URL(select.dataset.enrAjax, window.location.href);
        target.searchParams.set("q", query);
        target.searchParams.set("page", at);
        return target.toString();
      };
      const line = (item, escape) =>
        `<div>${escape(item.text)}${item.meta ? ` <span class="small muted">${escape(item.meta)}</span>` : ""}</div>`;
      const message = (text, escape) => `<div class="no-results">${escape(text)}</div>`;
      const plugins = { virtual_scroll: {} };
      if (select.multiple) plugins.remove_button = { title: page.dataset.labelRemove };
      else if (!select.required) plugins.clear_button = { title: page.dataset.labelRemove };
      /* The server decides what matches; what it has not answered for these letters can't be chosen by Enter. */
      let answered = { query: null, keys: new Set() };
      const loading = (_, escape) => message(page.dataset.labelLoading, escape);
      const widget = new window.TomSelect(select, {
        plugins: plugins,
        valueField: "id",
        labelField: "text",
        searchField: [],
        score: (query) => (item) => Number(answered.query === query && answered.keys.has(String(item.id))),
        placeholder: select.dataset.placeholder || "",
        hidePlaceholder: true,
        allowEmptyOption: false,
        preload: "focus",
        clearAfterSelect: true,
        maxOptions: null,
        loadThrottle: 250,
        firstUrl: (query) => url(query, 0),
        load: function (query, done) {
          const address = this.getUrl(query);
          fetch(address, { headers: { Accept: "application/json" }, credentials: "same-origin" })
            .then((answer) => { if (!answer.ok) throw new Error(answer.status); return answer.json(); })
            .then((found) => {
              const at = Number(new URL(address).searchParams.get("page"));
              if (at === 0) answered = { query: query, keys: new Set() };
              found.results.forEach((item) => answered.keys.add(String(item.id)));
              if (found.more) this.setNextUrl(query, url(query, at + 1));
              done(found.results);
            })
            .catch(() => { say(page.dataset.labelOffline); done(); });
        },
        render: {
          option: line,
          item: line,
          no_results: (data, escape) =>
            (answered.query === data.input ? message(page.dataset.labelNothing, escape) : loading(data, escape)),
          loading: loading,
          loading_more: loading,
          no_more_results: () => document.createElement("div"),
        },
      });
      /* The widget keeps pointing at an option that a later answer has removed. */
      const forget = () => {
        const at = widget.control_input.getAttribute("aria-activedescendant");
        if (at && !document.getElementById(at)) widget.control_input.removeAttribute("aria-activedescendant");
      };
      ["load", "item_add", "dropdown_close"].forEach((name) => widget.on(name, () => window.setTimeout(forget)));
      select.setAttribute("aria-hidden", "true");
      const described = select.getAttribute("aria-describedby");
      if (described) widget.control_input.setAttribute("aria-describedby", described);
      if (select.getAttribute("aria-invalid")) {
        widget.control_input.setAttribute("aria-invalid", "true");
        widget.wrapper.classList.add("invalid-control");
      }
    });
  }

  /** The figures of a grant follow the form; until they are fresh, the button that repeats them waits. */
  function wirePreview() {
    const form = one("form[data-enr-preview]");
    if (!form) return;
    const place = document.getElementById("grant-preview");
    let timer = 0;
    let turn = 0;
    let previewed = "";
    const typed = () => new URLSearchParams(new FormData(form)).toString();
    const button = () => one("button:not([type=button])", place);
    const refresh = (focus) => {
      window.clearTimeout(timer);
      const mine = ++turn;
      previewed = typed();
      return fetch(form.dataset.enrPreview, {
        method: "POST", body: new FormData(form), credentials: "same-origin", headers: { "X-CSRFToken": csrf() },
      }).then((answer) => { if (!answer.ok) throw new Error(answer.status); return answer.text(); }).then((html) => {
        if (mine !== turn) return;
        place.innerHTML = html;
        const shown = one(".enr-preview", place);
        if (shown) say(shown.textContent.replace(/\s+/g, " ").trim());
      }).catch(() => {
        if (mine === turn) say(page.dataset.labelOffline);
      }).finally(() => {
        if (mine !== turn) return;
        place.removeAttribute("aria-busy");
        button().removeAttribute("aria-disabled");
        if (focus) button().focus();
      });
    };
    const stale = () => {
      if (typed() === previewed) return;  // leaving a field changes nothing: the button under the pointer stays
      place.setAttribute("aria-busy", "true");
      button().setAttribute("aria-disabled", "true");
      window.clearTimeout(timer);
      timer = window.setTimeout(refresh, 300);
    };
    form.addEventListener("input", stale);
    form.addEventListener("change", stale);
    form.addEventListener("submit", (event) => {
      if (!place.hasAttribute("aria-busy")) return;
      event.preventDefault();
      refresh(true);
    });
    // The page comes with the preview of what it came with; somebody may have typed before this script was there.
    const typedIn = (field) => field.name && field.type !== "hidden" && "defaultValue" in field
      && (field.value !== field.defaultValue || field.checked !== field.defaultChecked);
    if ([...form.elements].some(typedIn)) stale();
    else previewed = typed();
  }

  /* ---- Lists ---- */
  function wireFilters() {
    const form = one("[data-enr-filter-form]");
    if (!form) return;
    const rows = all("[data-enr-filter]", form);
    const choice = one("[data-enr-filter-field]", form);
    const control = (row) => one("[data-enr-value] [name]", row);
    const show = () => rows.forEach((row) => { row.hidden = row.dataset.enrFilter !== choice.value; });
    choice.addEventListener("change", show);
    show();
    form.addEventListener("submit", () => rows.forEach((row) => {
      const input = control(row);
      input.name = `_flt_${one("[data-enr-op]", row).value}_${row.dataset.enrFilter}`;
      input.disabled = row.hidden || input.value === "";
    }));
  }

  function wireSearchKey() {
    const search = one("[data-enr-search]");
    if (!search) return;
    document.addEventListener("keydown", (event) => {
      const typing = event.target.closest("input:not([type=checkbox], [type=radio]), select, textarea, [contenteditable], dialog");
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || typing) return;
      event.preventDefault();
      search.focus();
      search.select();
    });
  }

  function wireSelection() {
    const bar = document.getElementById("enr-select");
    if (!bar) return;
    const rows = all("[data-enr-row]");
    const heads = all("[data-enr-all-rows]");
    const everything = one("[data-enr-everything]", bar);
    const count = one("[data-enr-count]", bar);
    const offer = one("[data-enr-all]");

    const show = () => {
      const ticked = rows.filter((row) => row.checked).length;
      const full = ticked === rows.length;
      if (!full) everything.disabled = true;
      heads.forEach((head) => {
        head.checked = full;
        head.indeterminate = ticked > 0 && !full;
      });
      if (offer) {
        offer.hidden = !full;
        one("[data-enr-all-page]", offer).hidden = !everything.disabled;
        one("[data-enr-all-done]", offer).hidden = everything.disabled;
      }
      const text = everything.disabled ? fill(count.dataset.some, { n: number.format(ticked) }) : count.dataset.everything;
      bar.classList.toggle("on", ticked > 0);
      if (count.textContent !== text) {
        count.textContent = text;
        say(text);
      }
    };
    const tick = (checked) => {
      rows.forEach((row) => { row.checked = checked; });
      everything.disabled = true;
      show();
    };
    rows.forEach((row) => row.addEventListener("change", show));
    heads.forEach((head) => head.addEventListener("change", () => tick(head.checked)));
    one("[data-enr-unselect]", bar).addEventListener("click", () => {
      tick(false);
      rows[0].focus();
    });
    if (offer) {
      one("[data-enr-all-match]", offer).addEventListener("click", () => {
        everything.disabled = false;
        show();
        one(".enr-btn.primary", bar).focus();
      });
    }
    moveWith(rows);
    rows.forEach((row) => row.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      if (bar.classList.contains("on")) one(".enr-btn.primary", bar).focus();
      event.preventDefault();
    }));
    window.addEventListener("pageshow", show);
    show();
  }

  /** Up and down, Home and End move among these: the ticks of a list, or the links of its rows. */
  function moveWith(items) {
    items.forEach((item, at) => item.addEventListener("keydown", (event) => {
      const next = { ArrowDown: items[at + 1], ArrowUp: items[at - 1], Home: items[0], End: items[items.length - 1] }[event.key];
      if (!next) return;
      next.focus();
      event.preventDefault();
    }));
  }

  /* ---- Jobs ---- */
  function wireJob() {
    const place = one("[data-enr-job]");
    if (!place) return;
    const bar = one("[data-enr-progress]", place);
    let told = -1;
    const show = (job) => {
      const percent = job.total ? Math.floor((100 * (job.done + job.skipped + job.failed)) / job.total) : 0;
      const text = fill(bar.dataset.text, { done: number.format(job.done), total: number.format(job.total) });
      one("rect", bar).setAttribute("width", Math.min(percent, 100));
      bar.setAttribute("aria-valuenow", Math.min(percent, 100));
      bar.setAttribute("aria-valuetext", text);
      one("[data-enr-progress-text]", place).textContent = text;
      all("[data-enr-value]", place).forEach((item) => {
        const value = job[item.dataset.enrValue];
        if (value !== undefined) item.textContent = typeof value === "number" ? number.format(value) : value || "";
      });
      if (Math.floor(percent / 25) > told) {
        told = Math.floor(percent / 25);
        say(text);
      }
    };
    const poll = () => {
      fetch(place.dataset.enrJob, { headers: { Accept: "application/json" }, credentials: "same-origin" })
        .then((answer) => { if (!answer.ok) throw new Error(answer.status); return answer.json(); })
        .then((answer) => {
          show(answer.result);
          if (answer.result.state === "queued" || answer.result.state === "running") window.setTimeout(poll, 1000);
          else window.location.reload();
        })
        .catch(() => window.setTimeout(poll, 5000));
    };
    window.setTimeout(poll, 1000);
  }

  /* ---- Team permissions ---- */
  function wireMatrix() {
    const form = one("[data-enr-matrix]");
    if (!form) return;
    const boxes = all("input[type=checkbox]", form);
    const note = one("[data-enr-changes]", form);
    const choice = one("[data-enr-role-choice]", form);
    const count = () => {
      boxes.forEach((box) => box.closest("td").classList.toggle("changed", box.checked !== box.defaultChecked));
      const changes = boxes.filter((box) => box.checked !== box.defaultChecked).length;
      note.textContent = changes ? fill(note.dataset.text, { n: number.format(changes) }) : "";
    };
    const show = () => all("[data-enr-role]", form).forEach((cell) => {
      cell.classList.toggle("on", cell.dataset.enrRole === choice.value);
    });
    form.addEventListener("change", count);
    choice.addEventListener("change", show);
    window.addEventListener("pageshow", count);
    show();
  }

  /* ---- Enrollments ---- */
  /** A typed decimal number, whichever mark the language uses; nothing for what is none. */
  function typedNumber(text) {
    const plain = text.trim().replace(/\s/g, "").replace(",", ".");
    return plain !== "" && Number.isFinite(Number(plain)) ? Number(plain) : null;
  }

  /** The share of a refund in what was paid follows the amount while it is typed. */
  function wireShare() {
    const place = one("[data-enr-share]");
    if (!place) return;
    const input = one("[name=amount]");
    const percent = new Intl.NumberFormat(document.documentElement.lang || undefined, { style: "percent", maximumFractionDigits: 2 });
    const show = () => {
      const amount = typedNumber(input.value);
      const paid = Number(place.dataset.paid);
      place.textContent = amount === null || !paid ? "" : fill(place.dataset.text, { percentage: percent.format(amount / paid) });
    };
    input.addEventListener("input", show);
    show();
  }

  /** What more sessions would cost at the price per session agreed, half up to the smallest coin. */
  function wireProposal() {
    const place = one("[data-enr-proposal]");
    if (!place) return;
    const input = one("[name=total]");
    const charge = one("[name=charge]");
    const { total, price, currency, text } = place.dataset;
    const shown = new Intl.NumberFormat(document.documentElement.lang || undefined, { style: "currency", currency: currency });
    const digits = shown.resolvedOptions().maximumFractionDigits;
    let proposed = "";
    const show = () => {
      const more = Number(input.value) - Number(total);
      const amount = more > 0 && Number(total) > 0 ? Math.floor((2 * Number(price) * more + Number(total)) / (2 * Number(total))) / 10 ** digits : 0;
      place.textContent = amount ? fill(text, { amount: shown.format(amount) }) : "";
      if (charge.value === proposed) charge.value = amount ? amount.toFixed(digits) : "";
      proposed = amount ? amount.toFixed(digits) : "";
    };
    input.addEventListener("input", show);
    show();
  }

  /** Copies what a field holds; where the browser does not let us, the field is selected for the person to do it. */
  function wireCopy() {
    all("[data-enr-copy]").forEach((button) => button.addEventListener("click", () => {
      const field = document.getElementById(button.dataset.enrCopy);
      field.select();
      if (!navigator.clipboard) return;
      navigator.clipboard.writeText(field.value).then(() => {
        button.textContent = button.dataset.copied;
        document.getElementById("enr-live").textContent = button.dataset.copied;
      }, () => {});
    }));
  }

  mendNavigation();
  wireNotices();
  wireMenus();
  wireDialogs();
  wireConfirmations();
  wireConditions();
  wireAjaxSelects();
  wirePreview();
  wireFilters();
  wireSearchKey();
  wireSelection();
  moveWith(all("[data-enr-rows] .as-title > a"));
  wireJob();
  wireShare();
  wireProposal();
  wireCopy();
  wireMatrix();
  wireSubmitOnce();
}());
