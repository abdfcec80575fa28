// The sections of the console, in the order of the sidebar; g and a letter lead to one.
export const SECTIONS = [
  { key: "overview", href: "/", name: "Overview", icon: "waypoints", letter: "o" },
  { key: "runs", href: "/runs", name: "Runs", icon: "chart-gantt", letter: "r" },
  { key: "events", href: "/events", name: "Events", icon: "radio", letter: "e" },
  { key: "models", href: "/models", name: "Models", icon: "box", letter: "m" },
  { key: "data", href: "/data", name: "Data", icon: "database", letter: "d" },
  { key: "try", href: "/try", name: "Try it", icon: "flask-conical", letter: "t" },
];
