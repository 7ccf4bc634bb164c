"""What German customers write. A line is: topic, intent, text; words in braces are filled in."""

WORDS = {
    "product": [
        "die Kaffeemaschine",
        "der Rucksack",
        "das Bücherregal",
        "die Regenjacke",
        "der Wasserkocher",
        "das Zelt",
        "die Stehlampe",
        "der Toaster",
    ],
    "city": ["Hamburg", "Leipzig", "Bremen", "Köln", "Wien", "Graz", "Zürich", "Kassel", "Rostock", "Ulm", "Mainz", "Jena"],
    "day": ["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "gestern", "heute früh"],
    "job": ["Lagerlogistik", "Kundenservice", "Softwareentwicklung", "Buchhaltung", "Marketing", "eine Ausbildung"],
    "rival": ["Südstern Handel", "Paketpirat", "Flinkkauf", "Kistenkönig"],
    "start": [
        "",
        "",
        "",
        "",
        "",
        "Hallo {company}, ",
        "Moin, ",
        "@{handle} ",
        "Guten Tag, ",
        "Mal ehrlich: ",
        "Sagt mal {company}, ",
        "Leute, ",
        "Hi zusammen, ",
        "Puh. ",
    ],
    "end": [
        "",
        "",
        "",
        "",
        "",
        " Danke!",
        " Danke euch 🙏",
        " LG",
        " Grüße aus {city}",
        " 😡",
        " 😊",
        " 🤷",
        " Bitte um Antwort.",
        " #{tag}",
        " #{tag} #{place}",
        " !!!",
        " …",
        " Wer kennt das?",
    ],
}
TAGS = {
    "delivery": "lieferung",
    "invoice": "rechnung",
    "app": "app",
    "service": "kundenservice",
    "jobs": "karriere",
    "product": "qualität",
}

LINES = """
delivery complaint mein Paket {order} sollte {day} ankommen, seit {days} Tagen keine Bewegung in der Sendungsverfolgung.
delivery complaint schon wieder wurde das Paket einfach beim Nachbarn abgegeben, und zwar bei einem, den es nicht gibt.
delivery complaint {product} kam komplett zerkratzt an. Karton offen, keine Polsterung, so geht das nicht.
delivery complaint Lieferung zwischen 8 und 18 Uhr, Urlaub genommen, niemand gekommen. Super, {company}.
delivery complaint ich warte jetzt {days} Tage auf Bestellung {order}. Langsam reicht es mir wirklich.
delivery complaint laut App zugestellt, vor der Tür liegt aber nichts. Was nun?
delivery complaint falsche Ware bekommen: bestellt war {product}, im Karton lag eine Packung Servietten.
delivery complaint der Versand nach {city} dauert inzwischen länger als mein letzter Umzug.
delivery complaint zum dritten Mal "Empfänger nicht angetroffen", obwohl ich den ganzen Tag zu Hause war.
delivery question wann kommt Bestellung {order} ungefähr an? Bräuchte es bis {day}.
delivery question liefert ihr auch an eine Packstation in {city}?
delivery question kann ich die Lieferadresse nach der Bestellung noch ändern? Nummer {order}.
delivery question was kostet der Versand nach Österreich und wie lange dauert das?
delivery question geht bei euch auch Abholung im Laden in {city}?
delivery praise {day} bestellt, einen Tag später da. So schnell war noch keiner!
delivery praise riesiges Lob an den Fahrer in {city}, der das Paket bis in den vierten Stock getragen hat 💪
delivery praise {product} perfekt verpackt und ganz ohne Plastik, danke dafür 🌱
invoice complaint Rechnung {order} wurde zweimal abgebucht und niemand fühlt sich zuständig.
invoice complaint Mahnung bekommen für eine Rechnung, die ich vor {days} Tagen bezahlt habe. Frechheit.
invoice complaint die Rücksendung ist seit {days} Tagen bei euch, mein Geld aber immer noch nicht bei mir.
invoice complaint auf der Rechnung stehen {euros} Euro mehr als im Warenkorb. Wie kommt das?
invoice complaint der Gutschein wurde nicht abgezogen, obwohl er im Warenkorb angezeigt wurde.
invoice question wo finde ich die Rechnung zu {order} als PDF? Brauche sie für die Steuer.
invoice question kann man bei {company} auch auf Raten zahlen?
invoice question ich müsste die Rechnungsadresse auf unsere Firma ändern, geht das nachträglich?
invoice praise Erstattung war nach zwei Tagen auf dem Konto, völlig unkompliziert 👍
app complaint seit dem Update stürzt eure App direkt beim Öffnen ab. Gerät neu gestartet, bringt nix.
app complaint die App loggt mich jeden Tag aus und der Code per SMS kommt nie an.
app complaint wer hat sich dieses neue Menü ausgedacht? Ich finde meine Bestellungen nicht mehr.
app complaint Warenkorb in der App leer, auf der Webseite voll. Entscheidet euch mal.
app complaint Fehler 500 beim Bezahlen, jetzt schon zum {days}. Mal heute.
app question gibt es die App auch für Tablets? Im Store finde ich nur die Handyversion.
app question kann man in der App einen Dunkelmodus einschalten?
app question wie lösche ich mein Konto in der App, der Menüpunkt ist verschwunden?
app praise neue Sendungsverfolgung in der App ist richtig gut geworden, Kompliment!
app praise endlich Dunkelmodus 😍 meine Augen danken euch
service complaint {days} Stunden in der Warteschleife und dann aufgelegt. Das nennt ihr Service?
service complaint auf meine Mail von {day} kam bis heute nur eine automatische Antwort.
service complaint der Chatbot versteht kein Wort, und einen Menschen bekommt man nicht ans Telefon.
service complaint drei Mitarbeiter, drei verschiedene Auskünfte zu {order}. Was stimmt denn jetzt?
service question unter welcher Nummer erreiche ich euch am Wochenende?
service question wie lange habe ich Rückgaberecht auf {product}?
service question habt ihr am Feiertag geöffnet?
service praise der Kundendienst hat mir in fünf Minuten geholfen, sehr freundlich, gerne wieder.
service praise musste {product} umtauschen, lief ohne Diskussion. So wünscht man sich das.
service praise danke für die schnelle Hilfe {day}, ihr habt mir den Geburtstag gerettet 🎂
product complaint {product} nach {days} Wochen kaputt. Qualität war früher deutlich besser.
product complaint Ersatzteile für {product}? Angeblich nicht lieferbar. Sehr nachhaltig …
product question passt das Zubehör vom alten Modell noch, oder muss ich alles neu kaufen?
product question ist {product} auch in Grün geplant?
product praise {product} ist jeden Cent wert, wir benutzen das jeden Tag.
product praise hätte nicht gedacht, dass {product} so gut ist. Klare Empfehlung ⭐⭐⭐⭐⭐
jobs application ich würde mich gern für {job} am Standort {city} bewerben. An wen schicke ich die Unterlagen?
jobs application sucht ihr noch Leute für {job}? Wäre ab nächstem Monat verfügbar.
jobs application habe mich vor {days} Tagen für {job} beworben und noch nichts gehört. Gibt es einen Zwischenstand?
jobs question bietet ihr Schülerpraktika in {city} an?
jobs question kann man bei euch im {job} auch in Teilzeit arbeiten?
jobs complaint Bewerbungsgespräch {day} kurzfristig abgesagt, ohne Ersatztermin. Kein guter Eindruck.
jobs praise erste Woche bei {company} geschafft, tolles Team in {city}!
service journalist ich schreibe für eine Regionalzeitung über Retouren. Wer ist bei {company} Ansprechpartner für die Presse?
delivery journalist für einen Beitrag über Lieferprobleme in {city} suche ich eine Stellungnahme bis {day}, 15 Uhr.
jobs journalist stimmt es, dass der Standort {city} ausgebaut wird? Anfrage für unser Wirtschaftsmagazin.
product spam verdiene {euros} Euro am Tag von zu Hause!!! Link im Profil 💰💰💰
app spam GRATIS Gutschein über {euros} Euro, nur heute, hier klicken: https://simulator.invalid/gewinn/{order}
service spam Follower kaufen? Schnell und günstig, schreib mir 🔥🔥
product competitor bei {rival} bekommt ihr das Gleiche für {euros} Euro weniger, nur so als Tipp.
delivery competitor {rival} liefert in {city} jetzt am selben Tag. Da kommt {company} nicht mit.
app competitor bin wegen der App zu {rival} gewechselt, läuft einfach besser.
"""
REPLIES = """
service question das Gleiche bei mir! Hast du inzwischen eine Antwort bekommen?
service complaint kenne ich, bei mir waren es sogar {days} Tage.
service praise bei mir hat es geholfen, einfach noch mal anzurufen. Waren echt nett.
service question schreib denen mal eine Direktnachricht mit der Nummer {order}.
delivery complaint wundert mich nicht, in {city} ist das leider normal.
service praise kann ich gar nicht bestätigen, bei mir lief bisher alles glatt.
app question welche Version hast du denn installiert?
service complaint und {company} schweigt mal wieder 🙄
"""
EDITED = (
    " EDIT: hat sich inzwischen erledigt.",
    " Edit: Tippfehler korrigiert.",
    " Nachtrag: immer noch keine Antwort.",
    " Update: Problem gelöst 👍",
)
TITLES = ("Enttäuscht", "Alles bestens", "Geht so", "Nie wieder", "Gerne wieder", "Leider Pech gehabt")
PICTURE = ("Foto vom beschädigten Karton", "Bildschirmfoto der Fehlermeldung", "Foto vom Paket vor der Tür")
