/** The things that scenes are made of: emoji that show one thing which everybody calls the same. */
import { DataError } from '../../../errors.js';
import type { KeyedRandom } from '../../../rng.js';
import type { Concept } from '../emoji/concepts.js';

/** One kind of thing. */
export interface Thing {
  readonly concept: Concept;
  /** 'apple'; unique. */
  readonly name: string;
  /** 'apples' */
  readonly plural: string;
  /** Things that are found together: 'fruit'. */
  readonly theme: string;
  /** Whether such a thing may be of any colour. */
  readonly anyColour: boolean;
  /** How often it is drawn, relative to others of its theme. */
  readonly weight: number;
}

/**
 * Things by theme, the commonest first: the emoji's label, `=` and the name where it is another, `/` and the plural
 * where it is irregular, `*` where such a thing may be of any colour.
 */
const themes: Readonly<Record<string, string>> = {
  'farm animals':
    'dog, cat, horse, cow, pig, rooster, goat, ewe=sheep/sheep, duck, rabbit, donkey, goose/geese',
  'wild animals':
    'elephant, lion, tiger, bear, monkey, giraffe, zebra, kangaroo, wolf/wolves, fox, deer/deer, camel, hippopotamus/hippopotamuses, crocodile',
  'sea animals':
    'fish/fish, whale, dolphin, octopus/octopuses, crab, shark, turtle, lobster, squid/squid, penguin',
  garden:
    'butterfly, rose*, tulip*, snail, ant, spider, frog, bird*, owl, sunflower, mushroom, cactus/cactuses, beetle*, lady beetle=ladybird',
  fruit:
    'red apple=apple, banana, strawberry, lemon, grapes=bunch of grapes/bunches of grapes, pear, peach/peaches, watermelon, pineapple, cherries=pair of cherries/pairs of cherries, coconut, mango',
  vegetables:
    'carrot, tomato/tomatoes, potato/potatoes, broccoli=head of broccoli/heads of broccoli, ear of corn/ears of corn, eggplant, cucumber, avocado, hot pepper, onion',
  meals:
    'pizza=slice of pizza/slices of pizza, hamburger, hot dog, sandwich/sandwiches, bread=loaf of bread/loaves of bread, egg, pretzel, taco, croissant, cheese wedge',
  sweets:
    'birthday cake*, doughnut, cookie, ice cream, lollipop*, candy=piece of candy/pieces of candy*, cupcake*, chocolate bar',
  drinks:
    'wine glass*, beer mug, hot beverage=cup of coffee/cups of coffee, teapot*, cocktail glass*, glass of milk/glasses of milk',
  traffic:
    'automobile=car*, bus*, bicycle*, taxi, train*, motorcycle*, ambulance, tractor*, fire engine, police car, delivery truck*, racing car*, motor scooter*',
  'air and water':
    'airplane*, helicopter*, rocket*, sailboat*, ship, speedboat*, canoe*, flying saucer*, parachute*',
  sports:
    'soccer ball=football, basketball, baseball, volleyball, bowling=bowling ball*, boxing glove*, skateboard*, kite*',
  music: 'guitar*, trumpet, violin, drum*, saxophone, accordion*, harp',
  clothes:
    't-shirt*, dress*, woman’s hat=sun hat, top hat*, billed cap=cap*, running shoe=shoe*, handbag*, backpack*, scarf/scarves*, necktie=tie*, crown, glasses=pair of glasses/pairs of glasses*, high-heeled shoe*, umbrella*',
  home: 'chair*, bed*, door*, key, light bulb, candle*, teddy bear*, alarm clock*, bathtub, toilet, broom, basket*',
  desk: 'laptop, telephone*, camera, closed book=book*, pencil*, scissors=pair of scissors/pairs of scissors*, paperclip, envelope*, briefcase*, calendar, television, computer mouse/computer mice, globe showing Europe-Africa=globe',
  tools:
    'hammer*, axe*, wrench/wrenches, screwdriver*, magnet*, ladder*, bucket*, toolbox=toolbox/toolboxes*, gear',
  party:
    'balloon*, wrapped gift=gift*, party popper, Christmas tree, jack-o-lantern=pumpkin, ribbon=bow*, fireworks=firework, bell',
  sky: 'sun, star*, cloud, rainbow, snowman/snowmen, crescent moon, snowflake*, fire=flame, droplet=drop of water/drops of water',
};

const itemPattern = /^([^=/*]+)(?:=([^/*]+))?(?:\/([^*]+))?(\*)?$/;

/** The things among the concepts. Entries of the table that no emoji has are left out. */
export function loadThings(concepts: readonly Concept[]): Thing[] {
  const byLabel = new Map(concepts.map((concept) => [concept.label, concept]));
  const things: Thing[] = [];
  for (const [theme, list] of Object.entries(themes)) {
    for (const [rank, item] of list.split(', ').entries()) {
      const [, label, name = label, plural, mark] = itemPattern.exec(item) as unknown as [
        string,
        string,
        string | undefined,
        string | undefined,
        string | undefined,
      ];
      const concept = byLabel.get(label);
      if (concept === undefined)
        throw new DataError(`The table of things names '${label}', which no emoji is.`);
      const called = name as string;
      const weight = 1 / (rank + 1) ** 0.6;
      things.push({
        concept,
        name: called,
        plural: plural ?? pluralOf(called),
        theme,
        anyColour: mark === '*',
        weight,
      });
    }
  }
  return things;
}

function pluralOf(name: string): string {
  if (/[^aeiou]y$/.test(name)) return `${name.slice(0, -1)}ies`;
  return /(?:[sx]|ch|sh)$/.test(name) ? `${name}es` : `${name}s`;
}

/** One of the things, drawn by their weights. There must be at least one. */
export function drawThing(things: readonly Thing[], random: KeyedRandom): Thing {
  let draw = random.uniform() * things.reduce((sum, { weight }) => sum + weight, 0);
  const found = things.find(({ weight }) => {
    draw -= weight;
    return draw < 0;
  });
  return found ?? (things.at(-1) as Thing);
}
