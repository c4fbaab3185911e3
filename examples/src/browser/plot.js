// The live figures and their plot: one sample each 100 ms and direction, thirty seconds of them.
'use strict';
{
  const $ = (id) => document.getElementById(id);

  const counters = { down: 0, up: 0 };
  const EVERY = 100;
  const SAMPLES = 300;
  const series = { down: new Array(SAMPLES).fill(0), up: new Array(SAMPLES).fill(0) };
  let lastSample = performance.now();

  function sample() {
    const now = performance.now();
    const secs = (now - lastSample) / 1000;
    lastSample = now;
    for (const way of ['down', 'up']) {
      series[way].push(counters[way] / secs / 1e6);
      series[way].shift();
      counters[way] = 0;
      const recent = series[way].slice(-5);
      const mean = recent.reduce((a, b) => a + b, 0) / recent.length;
      $(`${way}-now`).textContent = mean >= 10 ? mean.toFixed(0) : mean.toFixed(1);
    }
    draw();
  }

  function draw() {
    const canvas = $('plot');
    const scale = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== width * scale || canvas.height !== height * scale) {
      canvas.width = width * scale;
      canvas.height = height * scale;
    }
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const g = canvas.getContext('2d');
    g.setTransform(scale, 0, 0, scale, 0, 0);
    g.clearRect(0, 0, width, height);
    const [left, right, top, bottom] = [36, width - 4, 8, height - 20];
    const most = ceiling(Math.max(1, ...series.down, ...series.up));
    const x = (i) => left + (i / (SAMPLES - 1)) * (right - left);
    const y = (v) => bottom - (v / most) * (bottom - top);

    g.font = '12px system-ui, sans-serif';
    g.fillStyle = color('--muted');
    g.strokeStyle = color('--line');
    g.lineWidth = 1;
    g.textAlign = 'right';
    g.textBaseline = 'middle';
    for (const part of [0, 0.5, 1]) {
      const at = Math.round(y(most * part)) + 0.5;
      g.beginPath();
      g.moveTo(left, at);
      g.lineTo(right, at);
      g.stroke();
      g.fillText(String(Number((most * part).toPrecision(3))), left - 6, at);
    }
    g.textBaseline = 'alphabetic';
    for (const secs of [30, 20, 10, 0]) {
      g.textAlign = secs === 0 ? 'right' : secs === 30 ? 'left' : 'center';
      g.fillText(secs === 0 ? 'now' : `−${secs} s`, right - (secs / 30) * (right - left), height - 4);
    }
    for (const way of ['up', 'down']) {
      if (!series[way].some((v) => v > 0)) continue;
      g.beginPath();
      const flat = (i) => series[way][i] === 0 && (i === 0 || series[way][i - 1] === 0);
      series[way].forEach((v, i) => (flat(i) ? g.moveTo(x(i), y(v)) : g.lineTo(x(i), y(v))));
      g.strokeStyle = color(`--${way}`);
      g.lineWidth = 2;
      g.lineJoin = 'round';
      g.stroke();
      if (series[way][SAMPLES - 1] > 0) g.lineTo(x(SAMPLES - 1), y(0));
      g.globalAlpha = 0.12;
      g.fillStyle = color(`--${way}`);
      g.fill();
      g.globalAlpha = 1;
    }
  }

  /** The next of 1, 2, 5, 10, 20 … */
  function ceiling(value) {
    const power = 10 ** Math.floor(Math.log10(value));
    return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= value);
  }

  window.plot = {
    /** Starts drawing; returns the counters to add arriving bytes to. */
    start() {
      setInterval(sample, EVERY);
      draw();
      return counters;
    },
  };
}
