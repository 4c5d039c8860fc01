"""The function words of sixteen languages: articles, pronouns, prepositions, conjunctions, auxiliaries, and adverbs
that say nothing by themselves.

In: the code of a Wikipedia. Out: the words in normal form; where an apostrophe parts a word ("l'eau", "isn't") both
sides are words. In Japanese every character of hiragana is one, since words are characters there and hiragana writes
what binds them.
"""

__all__ = ["FUNCTION_WORDS", "function_words"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ENGLISH = _words("""
    a an the this that these those some any no every each either neither both all such what which whose who whom
    i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers
    herself it its itself they them their theirs themselves one ones
    am is are was were be been being has have had having do does did doing done will would shall should can could may
    might must ought cannot isn aren wasn weren hasn haven hadn don doesn didn won wouldn shouldn couldn s t d ll re ve
    m about above across after against along among amongst around as at before behind below beneath beside besides
    between beyond by despite down during except for from in inside into like near of off on onto out outside over past
    per since than through throughout till to toward towards under until unto up upon via with within without
    and but or nor so yet if because although though while whereas whether unless when where why how
    not also only just even still too very then there here again ever never always often more most much many several few
    less least other another own same now once almost rather quite thus hence therefore however usually else well
""")

FUNCTION_WORDS: dict[str, frozenset[str]] = {
    "en": _ENGLISH,
    "simple": _ENGLISH,
    "de": _words("""
        der die das den dem des ein eine einer eines einem einen kein keine keiner keines keinem keinen dieser diese
        dieses diesem diesen jener jene jenes jenem jenen jeder jede jedes jedem jeden welcher welche welches welchem
        welchen solche solcher solches alle aller alles allem allen beide beiden ich du er sie es wir ihr mich dich
        ihn uns euch mir dir ihm ihnen sich man mein dein sein seine seiner seines seinem seinen ihre ihrer ihres
        ihrem ihren unser unsere was wer wen wem wessen wo wie wann warum da dort hier bin bist ist sind war waren
        warst wurde wurden wird werden worden geworden gewesen habe hat haben hatte hatten kann können konnte konnten
        könnte muss müssen musste mussten soll sollen sollte sollten will wollen wollte wollten darf dürfen durfte mag
        mögen möchte würde würden wäre wären in im ins an am ans auf aus bei beim bis durch für gegen mit nach ohne
        seit über um unter von vom vor zu zum zur zwischen während wegen trotz gegenüber neben hinter ab pro per laut
        entlang innerhalb außerhalb statt anstatt und oder aber denn doch sondern dass ob wenn weil als damit obwohl
        sowie sowohl bzw weder noch nicht auch nur schon sehr mehr so dann nun nach noch immer wieder etwa jedoch
        dabei daher dazu davon dadurch darauf darin daran danach dagegen dafür damals bereits sogar selbst eher fast
        ganz meist meistens oft
    """),
    "fr": _words("""
        le la les l un une des du de d au aux ce cet cette ces c mon ma mes ton ta tes son sa ses notre nos votre vos
        leur leurs je j tu il elle on nous vous ils elles me m te t se s lui eux y en qui que qu quoi dont où quel
        quelle quels quelles lequel laquelle lesquels lesquelles celui celle ceux celles cela ceci ça tout toute tous
        toutes aucun aucune chaque plusieurs quelques même mêmes autre autres tel telle est sont était étaient été
        être fut furent sera seront serait soit ai a ont avait avaient avoir eut ayant étant fait peut peuvent pouvait
        doit doivent va à dans par pour sur avec sans sous entre vers chez contre depuis pendant avant après dès jusqu
        jusque lors selon malgré parmi et ou mais donc or ni car si comme quand lorsque lorsqu puisque afin ne n pas
        plus moins très aussi ainsi alors encore toujours déjà jamais peu bien trop non puis là ici
    """),
    "es": _words("""
        el la los las lo un una unos unas al del de este esta estos estas ese esa esos esas aquel aquella aquellos
        aquellas esto eso mi mis tu tus su sus nuestro nuestra nuestros nuestras yo tú él ella ello nosotros vosotros
        ellos ellas me te se nos os le les que qué quien quienes cual cuales cuyo cuya donde cuando como cómo es son
        era eran fue fueron ser sido siendo será está están estaba estaban estar ha han había habían haber he hay
        puede pueden podía debe deben tiene tienen a en por para con sin sobre entre hacia hasta desde contra según
        durante mediante tras ante bajo y e o u ni pero sino aunque porque pues si mientras no más menos muy también
        tan tanto ya así entonces además aún todavía siempre nunca todo toda todos todas otro otra otros otras mismo
        misma cada algún alguno alguna algunos algunas ningún ninguno ninguna varios varias
    """),
    "it": _words("""
        il lo la i gli le l un uno una di d del dello della dei degli delle dell a al allo alla ai agli alle all da
        dal dallo dalla dai dagli dalle dall in nel nello nella nei negli nelle nell su sul sullo sulla sui sugli
        sulle sull con col per tra fra verso presso contro senza sotto sopra dopo prima durante entro oltre fino
        questo questa questi queste quest quello quella quelli quelle quell quel quei quegli mio tuo suo sua suoi sue
        nostro nostra loro io tu lui lei noi voi essi esse egli ella esso essa mi ti si ci vi ne che chi cui quale
        quali cosa dove quando come perché è sono era erano fu furono essere stato stata stati state sarà sia ha hanno
        aveva avevano avere ho può possono e ed o od ma però se né anche ancora non più meno molto poco già solo così
        quindi poi mentre sempre mai tutto tutta tutti tutte altro altra altri altre stesso stessa ogni alcuni alcune
    """),
    "nl": _words("""
        de het een der den des dit dat deze die elk elke ieder iedere alle al beide geen ik jij je u hij zij ze het
        wij we jullie hen hun hem haar mij me ons zich mijn jouw zijn onze uw wie wat welk welke waar wanneer hoe
        waarom er hier daar is was waren ben bent wordt worden werd werden geworden geweest heeft hebben had hadden
        kan kunnen kon konden moet moeten zal zullen zou zouden mag mogen wil in op aan van voor met door bij te ten
        ter tot uit over om naar onder tussen na sinds zonder tegen tijdens vanaf binnen buiten boven achter naast
        volgens en of maar want dus omdat als toen terwijl hoewel niet ook nog wel al zeer meer dan zo nu reeds echter
        vaak onder andere
    """),
    "pl": _words("""
        i a o u w we z ze na do od dla po za przez przed przy pod nad między bez około podczas oraz lub albo ale lecz
        jednak że żeby aby by gdy gdyż ponieważ jeśli czy jak jako niż więc także też również nie tak już jeszcze
        tylko bardzo bardziej najbardziej ten ta to te ci tego tej tych tym temu tę tą ja ty on ona ono my wy oni one
        jego jej ich mu go ją je im mnie mi się siebie sobie sobą swój swoje swoją swojego swoich który która które
        którego której którym których którzy co kto kogo czego jest są był była było byli były być będzie będą został
        została zostało zostały może można ma mają miał gdzie kiedy tam tu
    """),
    "pt": _words("""
        o a os as um uma uns umas de do da dos das em no na nos nas por pelo pela pelos pelas para com sem sob sobre
        entre até desde contra após durante ao à aos às num numa este esta estes estas esse essa esses essas aquele
        aquela aqueles aquelas isto isso aquilo meu minha teu tua seu sua seus suas nosso nossa eu tu ele ela nós vós
        eles elas me te se lhe lhes que quem qual quais cujo cuja onde quando como é são era eram foi foram ser sido
        sendo será está estão estava estavam estar há tem têm tinha tinham ter pode podem deve e ou mas nem porque
        pois se embora não mais menos muito também já ainda só assim então sempre nunca todo toda todos todas outro
        outra outros outras mesmo mesma cada algum alguma alguns algumas
    """),
    "ru": _words("""
        и в во не на с со о об обо к ко по за из изо у от до для при над под перед между через без про после около а
        но или либо да же ли бы что чтобы как так если когда где куда потому поэтому хотя также тоже только уже ещё
        еще очень более менее я ты он она оно мы вы они меня тебя его её ее нас вас их мне тебе ему ей нам вам им ним
        ними него неё них себя себе собой свой своя своё свои своего своей своих мой твой наш ваш этот эта это эти
        этого этой этих этом этим тот та то те того той тех том тем который которая которое которые которого которой
        которых котором весь вся всё все всех всего был была было были быть есть будет будут является являются может
        могут кто чего чем чём каждый сам самый
    """),
    "uk": _words("""
        і й та в у не на з із зі о об до від по за для при над під перед між через без про після біля а але або чи ж
        же би б що щоб як так якщо коли де тому хоча також теж тільки вже ще дуже більш менш я ти він вона воно ми ви
        вони мене тебе його її нас вас їх мені тобі йому їй нам вам їм себе собі свій своя своє свої свого своєї своїх
        цей ця це ці цього цієї цих цьому той те ті того тієї тих який яка яке які якого якої яких якому весь вся все
        всі всіх був була було були бути є буде будуть може можуть хто чого чим кожен сам
    """),
    "sv": _words("""
        en ett den det de dem dess deras denna detta dessa jag du han hon vi ni mig dig honom henne oss er sig min din
        sin sitt sina hans hennes vår man som vad vem vilken vilket vilka var när hur varför där här är vara varit
        blev blir bli blivit har hade ha haft kan kunde ska skall skulle måste får fick vill i på av för med till från
        om vid under över efter mellan genom mot utan hos inom utanför sedan före bland enligt och eller men att så
        eftersom medan samt både inte också även mer mest mycket än nu då redan bara sina alla allt all någon något
        några ingen inget varje annan annat andra samma
    """),
    "bg": _words("""
        и в във на с със не за от до по при през под над пред между без около след към като или но а че да ли ще би се
        си е са бе беше бяха бил била било били съм бъде може има няма това този тази тези онзи той тя то те ние вие
        аз ти го я ги му ѝ им ни ви неговата неговия негов нейния техните който която което които чийто кой какво къде
        когато как така също само още вече много по най повече всички всеки един една едно едни
    """),
    "cs": _words("""
        a i o u v ve z ze s se k ke na do od po za pro při pod nad před mezi bez přes podle během kolem nebo ale však
        že aby když protože jestli zda jak jako než tak také též i jen již už ještě velmi více nejvíce ne není ten ta
        to ti ty tento tato toto tyto toho té těch tomu tím já on ona ono my vy oni ho mu ji jí je jim mě mi si sebe
        sobě svůj své svou svého svých jeho její jejich který která které kterého kterou kterých kteří co kdo čeho
        jsou jsem byl byla bylo byli byly být bude budou může mohou má mají měl kde kdy tam zde
    """),
    "ja": frozenset(map(chr, range(0x3041, 0x3097))),
    "zh": _words("""
        的 了 在 是 和 有 不 也 与 與 及 之 其 这 這 那 为 為 以 于 於 而 或 但 被 把 由 从 從 到 对 對 将 將
        就 都 又 还 還 则 則 所 他 她 它 们 們 我 你 您 此 该 該 并 並 且 等 着 著 过 過 地 得 很 更 最 各 每
        让 讓 使 向 自 因 如 若 虽 雖 即 只 已 曾
    """),
}  # fmt: skip


def function_words(language: str) -> frozenset[str]:
    """Those of a Wikipedia's language; none where they are not known."""
    return FUNCTION_WORDS.get(language, frozenset())
