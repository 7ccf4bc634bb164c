"""What English-speaking customers write; see german.py."""

WORDS = {
    "product": [
        "the coffee machine",
        "the backpack",
        "the bookshelf",
        "the rain jacket",
        "the kettle",
        "the tent",
        "the floor lamp",
        "the toaster",
    ],
    "city": ["Leeds", "Cork", "Utrecht", "Bristol", "Malmö", "Galway", "Ghent", "Aarhus", "Cardiff", "Dundee"],
    "day": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "last weekend", "yesterday", "this morning"],
    "job": ["warehouse logistics", "customer service", "software development", "accounting", "marketing", "an apprenticeship"],
    "rival": ["Southstar Trading", "Parcel Pirate", "Quickcart", "Crate King"],
    "start": [
        "",
        "",
        "",
        "",
        "",
        "Hi {company}, ",
        "Hey, ",
        "@{handle} ",
        "Hello, ",
        "Honestly, ",
        "So {company}, ",
        "Folks, ",
        "Ugh. ",
        "Question: ",
    ],
    "end": [
        "",
        "",
        "",
        "",
        "",
        " Thanks!",
        " Cheers",
        " Thx 🙏",
        " 😡",
        " 😊",
        " 🤷",
        " Please reply.",
        " #{tag}",
        " #{tag} #{place}",
        " !!!",
        " …",
        " Anyone else?",
    ],
}
TAGS = {"delivery": "delivery", "invoice": "billing", "app": "app", "service": "customerservice", "jobs": "jobs", "product": "quality"}

LINES = """
delivery complaint my parcel {order} was due {day} and the tracking has not moved for {days} days.
delivery complaint the driver left it "with a neighbour". I have no neighbours.
delivery complaint {product} arrived smashed. No padding at all, what did you expect?
delivery complaint took a day off for the delivery and nobody showed up. Brilliant.
delivery complaint tracking says delivered, my doorstep says otherwise.
delivery complaint ordered {product}, got a pack of napkins. Not even mad, just tired.
delivery complaint {days} days to ship to {city}. I could have walked.
delivery question when will order {order} get here? I need it by {day}.
delivery question do you ship to parcel lockers in {city}?
delivery question can I still change the address on {order}?
delivery question what does shipping to Ireland cost these days?
delivery praise ordered {day}, got it the next morning. Never seen anything that fast!
delivery praise shout-out to the driver in {city} who carried it up four floors 💪
delivery praise no plastic in the box at all, well done 🌱
invoice complaint you charged me twice for {order} and nobody feels responsible.
invoice complaint got a reminder for an invoice I paid {days} days ago. Seriously?
invoice complaint returned it {days} days ago and still no refund.
invoice complaint the invoice is {euros} euros higher than my basket was.
invoice question where do I find the invoice for {order} as a PDF?
invoice question can I pay in instalments?
invoice praise refund was on my account after two days, painless 👍
app complaint your app crashes on start since the update. Reinstalled twice, no luck.
app complaint logged out every single day and the text message with the code never comes.
app complaint who designed the new menu? I cannot find my orders anymore.
app complaint error 500 at checkout for the {days}th time today.
app question is there a tablet version of the app?
app question how do I delete my account in the app?
app praise the new tracking screen is really good, kudos!
app praise finally dark mode 😍
service complaint {days} hours on hold and then they hung up. You call this service?
service complaint all I got since {day} is an automatic reply.
service complaint the chatbot does not understand a word I say.
service question which number do I call on weekends?
service question how long can I return {product}?
service praise support sorted it out in five minutes, really friendly.
service praise exchanged {product} without any fuss. That is how it should be.
product complaint {product} broke after {days} weeks. Quality used to be better.
product question will {product} come in green as well?
product praise {product} is worth every cent, we use it daily.
product praise did not expect {product} to be this good ⭐⭐⭐⭐⭐
jobs application I would like to apply for {job} in {city}. Who do I write to?
jobs application are you still hiring for {job}? I could start next month.
jobs question do you offer part-time work in {job}?
jobs complaint interview cancelled {day} without a new date. Not a good look.
jobs praise first week at {company} done, lovely team in {city}!
service journalist I am writing a piece on returns in online retail. Who handles press requests at {company}?
delivery journalist looking for a statement on delivery problems in {city} by {day}, 3 pm.
product spam earn {euros} euros a day from home!!! link in bio 💰💰💰
app spam FREE voucher worth {euros} euros, today only: https://simulator.invalid/win/{order}
product competitor {rival} has the same thing for {euros} euros less, just saying.
delivery competitor {rival} delivers the same day in {city} now. Your move, {company}.
"""
REPLIES = """
service question same here! Did you ever hear back?
service complaint been there, took {days} days in my case.
service praise calling them again helped me, they were really nice.
service question send them a direct message with the number {order}.
delivery complaint not surprised, that is normal in {city}.
service praise cannot confirm that, everything went fine for me.
app question which version do you have?
"""
EDITED = (" EDIT: sorted by now.", " Edit: fixed a typo.", " Update: still no answer.", " Update: solved 👍")
TITLES = ("Disappointed", "All good", "Meh", "Never again", "Would buy again", "Bad luck")
PICTURE = ("photo of the damaged box", "screenshot of the error message", "photo of the parcel at the door")
