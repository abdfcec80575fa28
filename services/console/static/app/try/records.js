// A record of the form: its fields from the features of the models, its examples, what is wrong with it.
export const isNumber = ({ type }) => type !== "string";

// The features of all models of a data set, each once; families share them.
export function featuresOf(models) {
  const seen = new Map();
  for (const model of models) for (const feature of model.features ?? []) if (!seen.has(feature.name)) seen.set(feature.name, feature);
  return [...seen.values()];
}

// What is sent: numbers as numbers, an empty field left out where it may be missing.
export function recordOf(features, values) {
  const record = {};
  for (const feature of features) {
    const text = String(values[feature.name] ?? "").trim();
    if (text === "") {
      if (feature.nullable) record[feature.name] = null;
    } else record[feature.name] = isNumber(feature) ? Number(text) : text;
  }
  return record;
}

// What a field lacks, before anybody is asked.
export function wrongWith(features, values) {
  const wrong = {};
  for (const feature of features) {
    const text = String(values[feature.name] ?? "").trim();
    if (text === "" && !feature.nullable) wrong[feature.name] = "is needed";
    else if (text !== "" && isNumber(feature) && !Number.isFinite(Number(text.replace(",", ".")))) wrong[feature.name] = "is no number";
    else if (text.includes(",") && isNumber(feature)) wrong[feature.name] = "has a comma; write a point";
  }
  return wrong;
}

// Chips: the surest example of each answer, and the one that the model is least sure of.
export function chipsOf(examples) {
  if (!examples.length) return [];
  const bySure = [...examples].sort((a, b) => (b.sure ?? 0) - (a.sure ?? 0));
  if (bySure[0].sure === null) return examples.slice(0, 3).map(({ record }, at) => ({ name: `row ${at + 1}`, record }));
  const found = [];
  for (const example of bySure) if (!found.some(({ name }) => name === example.answer)) found.push({ name: example.answer, record: example.record });
  return [...found.slice(0, 6), { name: "a hard one", record: bySure.at(-1).record }];
}

export const sameRecord = (a, b) => Boolean(a && b) && Object.keys(b).every((name) => String(a[name] ?? "") === String(b[name] ?? ""));
